"""Figures as words. Whatever form a report has, it says the same."""

from collections.abc import Callable, Sequence

from aideator_gateway.experiments.report.model import Comparison, People, Report
from aideator_gateway.experiments.statistics.estimate import FEW_TASKS, LEAST_TASKS, Estimate

Figure = Callable[[float], str]


def counted(count: int, thing: str) -> str:
    """Return ``1 task``, ``2,000 tasks``."""
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"


def dollars(usd: float) -> str:
    """Return an amount in US dollars: cents, or what there is below ten of them."""
    sign, usd = ("-" if usd < 0 else ""), abs(usd)
    return f"{sign}${usd:,.2f}" if usd >= 0.1 or usd == 0 else f"{sign}${usd:.4f}"


def percent(share: float) -> str:
    """Return ``62 %``."""
    return f"{100 * share:.0f} %"


def points(share: float) -> str:
    """Return ``12 points``, and one digit more where it would be none."""
    digits = 0 if abs(share) >= 0.00995 or share == 0 else 1
    text = f"{100 * share:.{digits}f}"
    return f"{text} point" if text == "1" else f"{text} points"


def span(seconds: float) -> str:
    """Return a time span."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def whole(number: float) -> str:
    """Return ``12,000``; halves of small numbers stay."""
    return f"{number:,.0f}" if number >= 100 or number == round(number) else f"{number:.1f}"


def with_interval(found: Estimate | None, figure: Figure, missing: str = "-") -> str:
    """Return ``62 % (51 to 72 %)``."""
    if found is None:
        return missing
    if found.interval is None:
        return figure(found.value)
    return f"{figure(found.value)} ({between(found, figure)})"


def between(found: Estimate, figure: Figure) -> str:
    """Return ``51 to 72 %``; a unit that is the same is said once."""
    if found.interval is None:
        return ""
    low, high = figure(found.interval.low), figure(found.interval.high)
    _, space, unit = high.partition(" ")
    return f"{low.removesuffix(space + unit)} to {high}"


def comparison_sentence(one: Comparison, repeats: int, *, priced: bool) -> str:
    """Return what a comparison of two conditions says.

    Parameters
    ----------
    priced
        Some attempt's price is known; else nothing is said of cost.
    """
    if one.pass_rate is None:
        tail = [_cost_words(one)] if priced else []
        return "; ".join([f"No check compares {one.second} with {one.first}", *tail]) + "."
    found = one.pass_rate.difference
    parts = [_what(one)]
    if found.interval is None:
        few = found.tasks < LEAST_TASKS
        parts[0] += ", with no interval" + (f", for fewer than {LEAST_TASKS} tasks" if few else "")
    else:
        # It goes the way that the words do: so many more, or so many fewer.
        bounds = (found.interval.low, found.interval.high)
        if found.value < 0:
            bounds = (-bounds[1], -bounds[0])
        low, high = (f"{100 * bound:.0f}" for bound in bounds)
        parts[0] += f", 95 % interval {_unsigned(low)} to {_unsigned(high)}"
    size = f"{counted(found.tasks, 'task')}, {counted(repeats, 'repeat')}"
    if found.attempts != 2 * found.tasks * repeats:
        size += f" planned, {counted(found.attempts, 'attempt')} so far"
    parts.append(size)
    if one.verdict == "cannot_tell" and _alone(one):
        parts.append("with so many comparisons chance alone may show as much")
    if priced:
        parts.append(_cost_words(one))
    return "; ".join(parts) + "."


def _unsigned(number: str) -> str:
    return "0" if number == "-0" else number


def _alone(one: Comparison) -> bool:
    """Whether its own interval tells a difference that the correction takes away."""
    found = one.pass_rate.difference.interval if one.pass_rate else None
    return found is not None and not found.low <= 0 <= found.high


def _what(one: Comparison) -> str:
    assert one.pass_rate  # noqa: S101 - asked before
    value = one.pass_rate.difference.value
    direction = "more" if value > 0 else "fewer"
    seen = f"{points(abs(value))} {direction}" if value else "as many"
    if one.verdict in ("more", "fewer"):
        return f"{one.second} passes {seen} than {one.first}"
    than = f"Cannot tell whether {one.second} passes more or fewer than {one.first}"
    return f"{than}: {seen}"


def _cost_words(one: Comparison) -> str:
    if one.cost_usd is None:
        return "what it costs more or less is unknown"
    value = one.cost_usd.difference.value
    if not value:
        return "it costs the same"
    return f"{dollars(abs(value))} {'more' if value > 0 else 'less'} an attempt"


def notes_of(report: Report, running: int) -> list[str]:
    """Return what is to be known before a report is read.

    Parameters
    ----------
    running
        Attempts that may be at work, or were when the experiment was stopped.
    """
    return [
        note
        for note in (
            "The model was the scripted demo and no LLM: these figures say nothing about a model."
            if report.scripted
            else None,
            None if report.complete else _unfinished(report, running),
            _few(report),
            _unpriced(report),
            _compared(report),
        )
        if note
    ]


def _unfinished(report: Report, running: int) -> str:
    at_work = f", {running} begun and not ended" if running else ""
    return (
        f"Not finished: {report.done:,} of {counted(report.planned, 'attempt')} have a "
        f"result{at_work}. What it says may change yet."
    )


def _few(report: Report) -> str | None:
    tasks = sum(task.check is not None for task in report.tasks)
    if not tasks:
        return "No task has a check, so only people's choices tell conditions apart."
    if tasks < LEAST_TASKS:
        return f"With {counted(tasks, 'task')} that have a check there is no interval to go by."
    if tasks < FEW_TASKS:
        return f"With {tasks} tasks intervals are rough: so few hardly show what tasks may be like."
    return None


def _unpriced(report: Report) -> str | None:
    unknown = sum(condition.cost_unknown for condition in report.conditions)
    if not unknown:
        return None
    models = sorted({c.model for c in report.conditions if c.cost_unknown})
    return (
        f"The price of {listed(models)} is not known: {counted(unknown, 'attempt')} "
        "cost something that is in no figure here."
    )


def _compared(report: Report) -> str | None:
    number = len(report.comparisons)
    if number < 2:
        return None
    those = "both" if number == 2 else f"all {number}"
    return (
        "Intervals are each comparison's own. What is called more or fewer holds for "
        f"{those} comparisons together (Holm)."
    )


def listed(things: Sequence[str]) -> str:
    """Return ``a``, ``a and b``, ``a, b and c``."""
    return " and ".join([", ".join(things[:-1]), things[-1]] if len(things) > 1 else things)


def heading(report: Report) -> str:
    """Return what was planned, as one line."""
    return (
        f"{counted(len(report.tasks), 'task')} x {counted(len(report.conditions), 'condition')} x "
        f"{counted(report.repeats, 'repeat')}: {report.done:,} of "
        f"{counted(report.planned, 'attempt')} done"
    )


def spent(report: Report) -> str:
    """Return what all attempts cost, and what of it is not known."""
    if report.scripted:
        return "no cost"
    known = f"{dollars(report.spent_usd)} spent of {dollars(report.budget_usd)}"
    if not report.spent_unknown:
        return known
    return f"{known}, and {counted(report.spent_unknown, 'attempt')} of unknown price"


def flips_sentence(one: Comparison) -> str | None:
    """Return which tasks flip, ``None`` where none does."""
    parts = []
    if one.gained:
        parts.append(f"only {one.second} does {listed(one.gained)}")
    if one.lost:
        parts.append(f"only {one.first} does {listed(one.lost)}")
    return f"Flips: {'; '.join(parts)}." if parts else None


def strength(value: float) -> str:
    """Return a strength of Bradley and Terry: logits, 0 is the mean of all conditions."""
    return f"{value:+.2f}"


def people_sentences(people: People) -> str:
    """Return what people's choices are made of, and how far judges agree."""
    kinds = (
        f"{counted(people.comparisons, 'comparison')}: {people.judged} judged blind, "
        f"{people.selected} from winners of runs."
    )
    found = people.agreement
    if found is None:
        return kinds
    alpha = with_interval(found, lambda value: f"{value:.2f}")
    pairs = counted(found.attempts, "pair")
    return f"{kinds} Judges agree with alpha {alpha}; {pairs} judged by more than one."
