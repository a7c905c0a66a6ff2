"""What judgments say so far, in words."""

from collections.abc import Iterator, Sequence

from aideator_gateway.command.terminal.text import counted
from aideator_gateway.experiments.definition import Experiment
from aideator_gateway.experiments.judgments import Judgment, choices_of, said_of_pairs
from aideator_gateway.experiments.statistics.agreement import agreement
from aideator_gateway.experiments.statistics.estimate import Estimate
from aideator_gateway.experiments.statistics.win_rate import win_rate
from aideator_gateway.printable import one_line


def summary_lines(experiment: Experiment, judgments: Sequence[Judgment]) -> Iterator[str]:
    """Give what all judges together said of the conditions, which are named only here."""
    names = [condition.name or "" for condition in experiment.conditions]
    tasks = [task.name for task in experiment.tasks]
    choices = choices_of(judgments, tasks, names)
    if not choices:
        return
    of = counted(len({choice.task for choice in choices}), "task")
    yield f"So far, {counted(len(choices), 'comparison')} at {of}:"
    for number, name in enumerate(names):
        rate = win_rate(choices, number)
        if rate is not None:
            yield f"  {one_line(name)} wins {percent(rate)}, of {rate.attempts}"
    found = agreement(said_of_pairs(judgments))
    if found is not None:
        yield (
            f"Judges agree with alpha {found.value:.2f}{_interval(found, 1, '.2f')}, "
            f"{counted(found.attempts, 'pair')} judged by more than one"
        )


def percent(rate: Estimate) -> str:
    """Return a share in percent, with its interval."""
    return f"{100 * rate.value:.0f} %{_interval(rate, 100, '.0f')}"


def _interval(found: Estimate, by: float, form: str) -> str:
    if found.interval is None:
        return ""
    return f" (95 % interval {by * found.interval.low:{form}} to {by * found.interval.high:{form}})"
