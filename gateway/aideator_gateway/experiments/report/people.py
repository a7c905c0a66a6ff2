"""What people chose, as choices between conditions."""

from collections.abc import Iterator, Mapping, Sequence

from aideator_gateway.experiments.judgments import Judgment, choices_of, said_of_pairs
from aideator_gateway.experiments.plan import Plan
from aideator_gateway.experiments.report.model import AttemptFacts, People, Preference
from aideator_gateway.experiments.statistics.agreement import agreement
from aideator_gateway.experiments.statistics.bradley_terry import bradley_terry
from aideator_gateway.experiments.statistics.choices import Choice
from aideator_gateway.experiments.statistics.win_rate import win_rate


def people_of(
    plan: Plan,
    attempts: Sequence[AttemptFacts],
    judgments: Sequence[Judgment],
    winners: Mapping[str, int],
) -> People | None:
    """Return what people chose, ``None`` where nobody chose anything.

    Parameters
    ----------
    judgments
        Of people who did not know the conditions.
    winners
        Chosen variations by run id. The winner of a run is taken as preferred to each other
        attempt of that run, for all of them lay before whoever chose.
    """
    judged = choices_of(judgments, [task.name for task in plan.experiment.tasks], plan.names)
    selected = list(_selected(plan, attempts, winners))
    choices = [*judged, *selected]
    if not choices:
        return None
    strengths = bradley_terry(choices, len(plan.names))
    return People(
        comparisons=len(choices),
        judged=len(judged),
        selected=len(selected),
        agreement=agreement(said_of_pairs(judgments)),
        preferences=[
            Preference(
                condition=name,
                win_rate=win_rate(choices, number),
                strength=strengths[number] if strengths else None,
            )
            for number, name in enumerate(plan.names)
        ],
    )


def _selected(
    plan: Plan, attempts: Sequence[AttemptFacts], winners: Mapping[str, int]
) -> Iterator[Choice]:
    tasks = {task.name: number for number, task in enumerate(plan.experiment.tasks)}
    names = {name: number for number, name in enumerate(plan.names)}
    runs: dict[str, list[AttemptFacts]] = {}
    for attempt in attempts:
        if attempt.done and attempt.run_id is not None and attempt.run_id in winners:
            runs.setdefault(attempt.run_id, []).append(attempt)
    for run_id, made in runs.items():
        won = next((one for one in made if one.variation_id == winners[run_id]), None)
        for other in made if won else ():
            if won and other.condition != won.condition:
                yield Choice(tasks[won.task], names[won.condition], names[other.condition], 1.0)
