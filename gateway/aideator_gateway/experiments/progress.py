"""How an experiment goes on: what is done, left, spent and expected."""

from dataclasses import dataclass

from aideator_gateway.experiments.plan import Plan
from aideator_gateway.experiments.state import Spent, State


@dataclass(frozen=True)
class Progress:
    """Where an experiment stands.

    Attributes
    ----------
    done
        Attempts that have a result.
    running
        Attempts at work.
    spent
        What attempts have cost so far, also those that do not count.
    expected_usd
        What all will have cost in the end; ``None`` where nothing is known to go by.
    seconds_left
        How long it will take yet; likewise.
    """

    attempts: int
    done: int
    running: int
    spent: Spent
    budget_usd: float
    expected_usd: float | None = None
    seconds_left: float | None = None

    @property
    def left(self) -> int:
        """Attempts that are neither done nor at work."""
        return self.attempts - self.done - self.running


def attempt_costs(plan: Plan, state: State) -> dict[str, list[float]]:
    """Return what attempts of each condition have cost that count, as far as it is known."""
    costs: dict[str, list[float]] = {condition: [] for condition in plan.names}
    for attempt in plan.attempts:
        result = state.result(attempt.id)
        cost = result.variation.usage.cost_usd if result else None
        if cost is not None:
            costs[attempt.name].append(cost)
    return costs


def attempts_left(plan: Plan, state: State) -> dict[str, int]:
    """Return how many attempts of each condition have no result yet."""
    left = dict.fromkeys(plan.names, 0)
    for attempt in plan.attempts:
        left[attempt.name] += state.result(attempt.id) is None
    return left


def expected_usd(plan: Plan, state: State) -> float | None:
    """Return what all will have cost: for each attempt that is left, the mean of its condition's.

    ``None`` where no attempt of a condition has shown what it costs.
    """
    costs = attempt_costs(plan, state)
    left = {name: count for name, count in attempts_left(plan, state).items() if count}
    if not all(costs[name] for name in left):
        return None
    more = sum(count * sum(costs[name]) / len(costs[name]) for name, count in left.items())
    return state.spent.usd + more
