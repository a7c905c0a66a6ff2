"""What an experiment will cost, and what it can tell, before anything is spent."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from aideator.protocol import Condition, Status
from aideator_gateway.experiments.beginning import Beginning
from aideator_gateway.experiments.plan import Plan
from aideator_gateway.experiments.progress import attempt_costs, attempts_left
from aideator_gateway.experiments.state import State
from aideator_gateway.experiments.statistics.power import (
    ASSUMED,
    Variation,
    detectable,
    variation_of,
)
from aideator_gateway.runs.model import Run


@dataclass(frozen=True)
class CostOfOne:
    """What an attempt of a condition costs, as far as can be known.

    Attributes
    ----------
    usd
        Mean of what others have cost; ``None`` where there are none with a known price.
    attempts
        How many it is the mean of.
    source
        Whose these were, in words.
    """

    usd: float | None
    attempts: int = 0
    source: str = ""


@dataclass(frozen=True)
class Forecast:
    """What to expect.

    Attributes
    ----------
    each
        By condition, in the file's order.
    expected_usd
        What all will have cost, with what is spent already; ``None`` where a condition's
        cost is unknown.
    most_usd
        What it may cost at most: what is spent, and the caps of all attempts that are left.
    comparisons
        How many pairs of conditions are compared.
    detectable
        Smallest difference of pass rates that is told in 80 of 100 experiments; ``None`` where
        there is none, or nothing to compare.
    more_repeats, more_tasks
        The same with twice the repeats, and with twice the tasks.
    assumed
        Nothing has been seen to go by, so that the spread is an assumption.
    """

    attempts: int
    done: int
    runs: int
    each: dict[str, CostOfOne]
    expected_usd: float | None
    most_usd: float
    comparisons: int
    detectable: float | None
    more_repeats: float | None
    more_tasks: float | None
    assumed: bool


def forecast(beginning: Beginning, past: Iterable[Run]) -> Forecast:
    """Return what to expect of an experiment.

    Parameters
    ----------
    past
        Other runs that are known; their attempts with the same model say what one costs.
    """
    plan, state = beginning.plan, beginning.state
    left = attempts_left(plan, state)
    done = len(plan.attempts) - sum(left.values())
    each = _costs(plan, state, list(past))
    usd = [cost.usd for name, cost in each.items() if left[name]]
    more = sum(left[name] * (cost.usd or 0.0) for name, cost in each.items())
    experiment = plan.experiment
    variation = _seen(plan, state)
    comparisons = len(plan.comparisons)
    tasks = sum(task.check is not None for task in experiment.tasks)

    def told(tasks: int, repeats: int) -> float | None:
        if not comparisons or not tasks:
            return None
        return detectable(variation or ASSUMED, tasks, repeats, comparisons)

    return Forecast(
        attempts=len(plan.attempts),
        done=done,
        runs=len(plan.blocks),
        each=each,
        expected_usd=None if None in usd else state.spent.usd + more,
        most_usd=state.spent.usd
        + sum(left[c.name or ""] * plan.cap(c) for c in experiment.conditions),
        comparisons=comparisons,
        detectable=told(tasks, experiment.repeats),
        more_repeats=told(tasks, 2 * experiment.repeats),
        more_tasks=told(2 * tasks, experiment.repeats),
        assumed=variation is None,
    )


def _costs(plan: Plan, state: State, past: list[Run]) -> dict[str, CostOfOne]:
    own = attempt_costs(plan, state)
    repositories = {task.repository for task in plan.experiment.tasks}
    found = {}
    for condition in plan.conditions:
        name = condition.name or ""
        here = list(_of(condition, [run for run in past if run.github_url in repositories]))
        found[name] = next(
            (
                CostOfOne(sum(costs) / len(costs), len(costs), source)
                for costs, source in (
                    (own[name], "of this experiment"),
                    (here, f"of {condition.model} on the same repositories"),
                    (list(_of(condition, past)), f"of {condition.model}"),
                )
                if costs
            ),
            CostOfOne(None),
        )
    return found


def _of(condition: Condition, runs: Iterable[Run]) -> Iterator[float]:
    """Give what completed attempts with a condition's model and provider have cost."""
    for run in runs:
        for variation in run.variations:
            same = (variation.condition.model or run.model, variation.condition.provider)
            cost = variation.usage.cost_usd
            known = variation.status is Status.COMPLETED and cost is not None and not run.scripted
            if known and cost is not None and same == (condition.model, condition.provider):
                yield cost


def _seen(plan: Plan, state: State) -> Variation | None:
    """Return how much pass rates vary, as the mean over all comparisons; ``None`` if unknown."""
    passed = {name: state.passed(plan, name) for name in plan.names}
    found = [
        variation
        for first, second in plan.comparisons
        if (variation := variation_of(passed[first], passed[second])) is not None
        # Where all attempts end alike, that tells nothing of how those to come will.
        and variation.between + variation.within > 0
    ]
    if not found:
        return None
    return Variation(
        between=sum(one.between for one in found) / len(found),
        within=sum(one.within for one in found) / len(found),
    )
