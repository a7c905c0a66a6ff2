"""What to expect of an experiment, in words."""

from collections.abc import Iterator

from aideator_gateway.command.terminal.experiments import dollars
from aideator_gateway.command.terminal.text import counted, joined
from aideator_gateway.experiments.definition import Experiment
from aideator_gateway.experiments.forecast import CostOfOne, Forecast
from aideator_gateway.printable import one_line


def forecast_lines(experiment: Experiment, found: Forecast) -> Iterator[str]:
    """Give what to expect, line by line."""
    tasks, conditions = len(experiment.tasks), len(experiment.conditions)
    yield (
        f"{experiment.name}: {counted(tasks, 'task')} x {counted(conditions, 'condition')} x "
        f"{counted(experiment.repeats, 'repeat')} = {counted(found.attempts, 'attempt')}"
        + (f", {found.done} of them done" if found.done else "")
    )
    yield f"{counted(found.runs, 'run')}, {experiment.at_once} at a time; seed {experiment.seed}"
    yield ""
    yield from _cost_lines(experiment, found)
    yield ""
    yield from _told_lines(experiment, found)


def _cost_lines(experiment: Experiment, found: Forecast) -> Iterator[str]:
    most = f"{dollars(found.most_usd)} at most, of a budget of {dollars(experiment.budget_usd)}"
    if found.expected_usd is None:
        unknown = [one_line(name) for name, cost in found.each.items() if cost.usd is None]
        yield f"Cost: unknown, for nothing is known of {joined(unknown)}; {most}."
    else:
        yield f"Cost: about {dollars(found.expected_usd)} in all; {most}."
    if found.most_usd > experiment.budget_usd * (1 + 1e-9):
        yield (
            "If attempts use what they may, the budget ends before the experiment does; "
            "no attempt is begun that it has no room for."
        )
    for name, cost in found.each.items():
        yield f"  {one_line(name)}: {_cost(cost)}"


def _cost(cost: CostOfOne) -> str:
    if cost.usd is None:
        return "unknown: no attempt with this model and a known price is on record"
    return (
        f"{dollars(cost.usd)} an attempt, the mean of {counted(cost.attempts, 'attempt')} "
        f"{one_line(cost.source)}"
    )


def _told_lines(experiment: Experiment, found: Forecast) -> Iterator[str]:
    if not found.comparisons:
        yield "There is one condition, so nothing is compared."
        return
    checked = sum(task.check is not None for task in experiment.tasks)
    if not checked:
        yield "No task has a check, so only people's choices will tell conditions apart."
        return
    with_check = "" if checked == len(experiment.tasks) else f" (those with a check: {checked})"
    if found.detectable is None:
        yield (
            f"It cannot tell: with {counted(checked, 'task')} even conditions that pass all and "
            f"nothing{with_check} would often not be told apart. More tasks help most."
        )
    else:
        yield (
            f"It can tell: conditions whose pass rates differ by {_points(found.detectable)} or "
            f"more, in 80 of 100 such experiments{with_check}; "
            f"{counted(found.comparisons, 'comparison')}."
        )
    if found.more_repeats and found.more_tasks:
        yield (
            f"  With twice the repeats {_points(found.more_repeats)}, with twice the tasks "
            f"{_points(found.more_tasks)}."
        )
    yield (
        "  Nothing is known of these tasks, so they are assumed to be of every difficulty."
        if found.assumed
        else "  From how much attempts of this experiment differ so far."
    )


def _points(share: float) -> str:
    return f"{100 * share:.0f} points"
