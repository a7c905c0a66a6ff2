"""What became of each attempt, as a report says it."""

from collections.abc import Callable, Sequence

from aideator_gateway.experiments.outcome import Outcome
from aideator_gateway.experiments.plan import Plan, PlannedAttempt
from aideator_gateway.experiments.report.model import AttemptFacts
from aideator_gateway.experiments.state import State, Try
from aideator_gateway.experiments.statistics.estimate import Groups
from aideator_gateway.runs.model import Run, Variation


def attempts_of(plan: Plan, state: State) -> list[AttemptFacts]:
    """Return every attempt of the plan, those without a result too."""
    place = {task.name: number for number, task in enumerate(plan.experiment.tasks)}
    names = {name: number for number, name in enumerate(plan.names)}
    found = [_facts(attempt, state) for attempt in plan.attempts]
    return sorted(found, key=lambda one: (place[one.task], names[one.condition], one.repeat))


def by_task(
    plan: Plan,
    attempts: Sequence[AttemptFacts],
    condition: str,
    value: Callable[[AttemptFacts], float | None],
) -> Groups:
    """Return a figure of a condition's attempts, by task in the file's order."""
    found: dict[str, list[float]] = {task.name: [] for task in plan.experiment.tasks}
    for attempt in attempts:
        figure = value(attempt) if attempt.done and attempt.condition == condition else None
        if figure is not None:
            found[attempt.task].append(float(figure))
    return list(found.values())


def _facts(attempt: PlannedAttempt, state: State) -> AttemptFacts:
    tries = state.tries.get(attempt.id, [])
    result = state.result(attempt.id)
    shown = result or (tries[-1] if tries else None)
    said = {**_of_try(shown), **_of_result(result)} if shown else dict.fromkeys(_OF_TRY)
    return AttemptFacts.model_validate(
        {
            **dict.fromkeys(_OF_RESULT),
            **said,
            "id": attempt.id,
            "task": attempt.task.name,
            "condition": attempt.name,
            "repeat": attempt.repeat,
            "done": result is not None,
            "tries": len(tries),
            "model": attempt.condition.model or "",
        }
    )


_OF_TRY = (
    "ended", "why", "run_id", "variation_id", "commit", "backend", "isolation", "started_at",
    "ended_at",
)  # fmt: skip


def _of_try(one: Try) -> dict[str, object]:
    run, variation, outcome = one.run, one.variation, one.outcome
    why = variation.stop_reason or variation.code
    return {
        "ended": str(why or variation.status),
        "why": _why(outcome, variation),
        "run_id": run.run_id,
        "variation_id": variation.variation_id,
        "commit": run.commit,
        "backend": run.backend,
        "isolation": run.isolation,
        "started_at": run.created_at,
        "ended_at": run.ended_at,
    }


def _why(outcome: Outcome, variation: Variation) -> str | None:
    return outcome.why or (variation.message if variation.code else None)


_OF_RESULT = (
    "passed", "cost_usd", "tokens", "turns", "seconds", "files", "insertions", "deletions",
)  # fmt: skip


def _of_result(one: Try | None) -> dict[str, object]:
    """Return its figures, where it is a result: what the harness failed has none."""
    if one is None:
        return {}
    variation, patch = one.variation, one.variation.patch
    return {
        "passed": one.outcome.passed,
        "cost_usd": cost_of(one.run, variation),
        "tokens": variation.usage.tokens,
        "turns": variation.turns,
        "seconds": variation.seconds,
        "files": patch.files if patch else None,
        "insertions": patch.insertions if patch else None,
        "deletions": patch.deletions if patch else None,
    }


def cost_of(run: Run, variation: Variation) -> float | None:
    """Return what an attempt cost, ``None`` where that is not known, or is nobody's money."""
    return None if run.scripted else variation.usage.cost_usd
