"""Makes a report from what an experiment's journal says. It reads nothing and writes nothing."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from aideator.protocol import Condition
from aideator_gateway.experiments.judgments import Judgment
from aideator_gateway.experiments.plan import Plan
from aideator_gateway.experiments.report.attempts import attempts_of, by_task
from aideator_gateway.experiments.report.comparing import comparisons_of
from aideator_gateway.experiments.report.model import (
    AttemptFacts,
    ConditionReport,
    PassAtK,
    Repetition,
    Report,
    TaskFacts,
)
from aideator_gateway.experiments.report.people import people_of
from aideator_gateway.experiments.report.repeating import file_of
from aideator_gateway.experiments.report.words import notes_of
from aideator_gateway.experiments.state import State
from aideator_gateway.experiments.statistics.estimate import Estimate
from aideator_gateway.experiments.statistics.median import median
from aideator_gateway.experiments.statistics.pass_at_k import pass_at_k
from aideator_gateway.experiments.statistics.pass_rate import pass_rate
from aideator_gateway.experiments.statistics.spread import spread

KS = (2, 3, 5, 10)
"""Of how many attempts it is said how likely one of them passes; and of all repeats."""


def report_of(
    plan: Plan,
    state: State,
    judgments: Sequence[Judgment] = (),
    winners: Mapping[str, int] | None = None,
) -> Report:
    """Return what an experiment says so far.

    Parameters
    ----------
    plan
        What is reported on; attempts that are no part of it are left out.
    state
        What was done, with at least one beginning.
    judgments
        Of people who did not know the conditions.
    winners
        Chosen variations by run id.
    """
    experiment = plan.experiment
    attempts = attempts_of(plan, state)
    scripted = state.begun[-1].scripted
    found = Report(
        name=experiment.name,
        description=experiment.description,
        scripted=scripted,
        planned=len(attempts),
        done=sum(one.done for one in attempts),
        repeats=experiment.repeats,
        baseline=experiment.baseline,
        budget_usd=experiment.budget_usd,
        spent_usd=state.spent.usd,
        spent_unknown=state.spent.unknown,
        notes=[],
        conditions=[_condition(plan, one, attempts, scripted) for one in plan.conditions],
        comparisons=comparisons_of(plan, attempts),
        people=people_of(plan, attempts, judgments, winners or {}),
        tasks=[
            TaskFacts(
                commit=state.commits.get((task.repository, task.ref)),
                **task.model_dump(),
            )
            for task in experiment.tasks
        ],
        attempts=attempts,
        repetition=_repetition(plan, state, attempts),
    )
    running = sum(len(one.planned.attempts) for one in state.open.values())
    return found.model_copy(update={"notes": notes_of(found, running)})


def _condition(
    plan: Plan, condition: Condition, attempts: Sequence[AttemptFacts], scripted: bool
) -> ConditionReport:
    name = condition.name or ""
    own = [one for one in attempts if one.condition == name]
    done = [one for one in own if one.done]
    groups = by_task(plan, own, name, lambda one: None if one.passed is None else one.passed)
    costs = [one.cost_usd for one in done if one.cost_usd is not None]
    varies = spread(groups)
    repeats = max((len(group) for group in groups), default=0)

    def middle(value: Callable[[AttemptFacts], float | None]) -> Estimate | None:
        return median(by_task(plan, own, name, value))

    return ConditionReport(
        name=name,
        model=condition.model or "",
        provider=condition.provider,
        settings={k: v for k, v in condition.details().items() if k != "provider"},
        baseline=name == plan.experiment.baseline,
        planned=len(own),
        done=len(done),
        checked=sum(one.passed is not None for one in done),
        passed=sum(one.passed is True for one in done),
        repeated=sum(one.tries - one.done for one in own),
        ended=dict(Counter(one.ended or "" for one in done).most_common()),
        pass_rate=pass_rate(groups),
        pass_at_k=[
            PassAtK(k=k, chance=chance)
            for k in sorted({*KS, repeats})
            if 1 < k <= repeats and (chance := pass_at_k(groups, k)) is not None
        ],
        cost_usd=middle(lambda one: one.cost_usd),
        tokens=middle(lambda one: one.tokens),
        seconds=middle(lambda one: one.seconds),
        turns=middle(lambda one: one.turns),
        patch_lines=middle(patch_lines),
        mean_cost_usd=sum(costs) / len(costs) if costs else None,
        cost_unknown=0 if scripted else sum(_is_unpriced(one) for one in done),
        repeats_share=varies and varies.repeats_share,
    )


def _is_unpriced(attempt: AttemptFacts) -> bool:
    return attempt.cost_usd is None and bool(attempt.tokens)


def patch_lines(attempt: AttemptFacts) -> float | None:
    """Return how many lines an attempt's patch adds and removes."""
    if attempt.insertions is None or attempt.deletions is None:
        return None
    return attempt.insertions + attempt.deletions


def _repetition(plan: Plan, state: State, attempts: Sequence[AttemptFacts]) -> Repetition:
    experiment = plan.experiment
    versions: dict[str, list[str]] = {}
    for begun in state.begun:
        for program, version in begun.versions.items():
            _add(versions.setdefault(program, []), version)
    ended = [one.ended_at for one in attempts if one.ended_at is not None]
    return Repetition(
        file=file_of(experiment, plan.conditions, state.commits),
        models=_unique(condition.model or "" for condition in plan.conditions),
        versions=versions,
        backends=_unique(
            f"{one.backend}, {one.isolation}" if one.isolation else one.backend
            for one in attempts
            if one.backend
        ),
        seed=experiment.seed,
        limits=experiment.limits.model_dump(exclude_none=True),
        share_usd=plan.share_usd,
        began_at=state.begun[0].time,
        ended_at=max(ended) if ended else None,
    )


def _add(known: list[str], one: str) -> None:
    if one not in known:
        known.append(one)


def _unique(those: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(those))
