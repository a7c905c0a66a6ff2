"""A report of an experiment, for a terminal of 80 columns or more."""

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from aideator_gateway.experiments.report.model import AttemptFacts, ConditionReport, Report
from aideator_gateway.experiments.report.words import (
    Figure,
    between,
    dollars,
    flips_sentence,
    heading,
    people_sentences,
    percent,
    span,
    spent,
    strength,
    whole,
)
from aideator_gateway.experiments.statistics.estimate import Estimate
from aideator_gateway.printable import one_line

NAME = 28
"""Most cells of a condition's name."""

TASKS = 60
"""Most tasks that are listed."""

CONDITIONS = 6
"""Most conditions that have a column of tasks."""

_VERDICTS = {"more": "green", "fewer": "red"}


def report_parts(report: Report) -> Iterator[RenderableType]:
    """Give what an experiment says, part by part."""
    yield Text(one_line(f"{report.name}: {heading(report)} · {spent(report)}"), style="bold")
    for note in report.notes:
        yield Text(one_line(note), style="yellow")
    yield ""
    yield _conditions(report)
    yield ""
    yield _medians(report)
    yield Text("Medians of an attempt, each above its 95 % interval.", style="dim")
    for one in report.comparisons:
        yield ""
        yield Text(one_line(one.sentence), style=_VERDICTS.get(one.verdict or "", ""))
        if flipped := flips_sentence(one):
            yield Text(one_line(flipped), style="dim")
    if report.people:
        yield ""
        yield _people(report)
        yield Text(people_sentences(report.people), style="dim")
    yield ""
    yield _tasks(report)


def _table() -> Table:
    return Table(box=None, pad_edge=False, header_style="dim")


def _name(table: Table, title: str) -> None:
    table.add_column(title, no_wrap=True, overflow="ellipsis", max_width=NAME)


def _conditions(report: Report) -> Table:
    """Return who passes how much."""
    table = _table()
    table.add_column("#", justify="right")
    _name(table, "condition")
    for title in ("done", "passed", "95 % interval", "one of k passes"):
        table.add_column(title, justify="right", no_wrap=True)
    for number, one in enumerate(report.conditions, 1):
        name = one_line(f"{one.name} (baseline)" if one.baseline else one.name)
        chances = [f"{p.k}: {percent(p.chance.value)}" for p in one.pass_at_k]
        table.add_row(
            str(number),
            Text(name),
            f"{one.done}/{one.planned}",
            *_figure(one.pass_rate, percent),
            # All repeats, and what comes before that as far as there is room.
            ", ".join(chances[-2:]),
        )
    return table


def _medians(report: Report) -> Table:
    """Return what an attempt of each condition takes, with the interval below."""
    table = _table()
    for title in ("#", "cost", "tokens", "time", "turns", "lines changed"):
        table.add_column(title, justify="right", no_wrap=True)
    for number, one in enumerate(report.conditions, 1):
        figures = _figures(one, scripted=report.scripted)
        table.add_row(str(number), *(value for value, _ in figures))
        table.add_row("", *(interval for _, interval in figures), style="dim")
    return table


def _figures(one: ConditionReport, *, scripted: bool) -> list[tuple[str, str]]:
    return [
        ("no cost", "") if scripted else _figure(one.cost_usd, dollars, "unknown"),
        _figure(one.tokens, _short),
        _figure(one.seconds, span),
        _figure(one.turns, whole),
        _figure(one.patch_lines, whole),
    ]


def _figure(found: Estimate | None, figure: Figure, missing: str = "-") -> tuple[str, str]:
    return (missing, "") if found is None else (figure(found.value), between(found, figure))


def _short(number: float) -> str:
    """Return ``12k`` for 12,000: in 80 columns there is no room for more."""
    if number < 10_000:
        return whole(number)
    return f"{number / 1e3:.0f}k" if number < 1e6 else f"{number / 1e6:.1f}M"


def _people(report: Report) -> Table:
    assert report.people  # noqa: S101 - asked before
    table = _table()
    _name(table, f"people's {report.people.comparisons} comparisons")
    for title in ("chosen", "interval", "strength", "interval"):
        table.add_column(title, justify="right", no_wrap=True)
    for one in report.people.preferences:
        strong = _figure(one.strength, strength, "cannot tell")
        chosen = _figure(one.win_rate, percent)
        table.add_row(Text(one_line(one.condition)), *chosen, *strong)
    return table


def _tasks(report: Report) -> Table:
    """Return how many attempts passed of how many, by task and condition."""
    table = _table()
    _name(table, "task")
    shown = report.conditions[:CONDITIONS]
    for number in range(1, len(shown) + 1):
        table.add_column(str(number), justify="right", no_wrap=True)
    cells = report.cells()
    for task in report.tasks[:TASKS]:
        counts = [_count(cells.get((task.name, c.name), [])) for c in shown]
        table.add_row(Text(one_line(task.name)), *counts)
    if len(report.tasks) > TASKS:
        table.add_row(f"… {len(report.tasks) - TASKS} more", style="dim")
    return table


def _count(attempts: Sequence[AttemptFacts]) -> str:
    done = [one for one in attempts if one.done]
    checked = [one.passed for one in done if one.passed is not None]
    if checked:
        return f"{sum(checked)}/{len(checked)}"
    return f"{len(done)} done" if done else "-"
