"""The plots of a report, as far as there is something to draw."""

from collections.abc import Callable, Iterator

from aideator_gateway.experiments.report.elements import Element, element
from aideator_gateway.experiments.report.model import AttemptFacts, ConditionReport, Report
from aideator_gateway.experiments.report.plots import Point, Row, against, spreads
from aideator_gateway.experiments.report.words import Figure, dollars, percent, span, whole
from aideator_gateway.experiments.statistics.estimate import Estimate


def figures(report: Report) -> Iterator[Element]:
    """Give a report's plots, each with its words."""
    priced = all(condition.cost_usd is not None for condition in report.conditions)
    words, figure = ("cost of an attempt", dollars) if priced else ("tokens of an attempt", whole)
    points = list(_points(report, (lambda c: c.cost_usd) if priced else (lambda c: c.tokens)))
    if points:
        yield _figure(
            f"Checks passed against {words}, with 95 % intervals. Up and to the left is better.",
            against(points, f"median {words}", figure),
        )
    if passed := list(_by_task(report)):
        yield _figure(
            "Checks passed by task: one count for each task, the mean marked.",
            spreads(passed, "share of a task's attempts that pass", percent, 1.0),
        )
    measures: tuple[tuple[str, Figure, Callable[[AttemptFacts], float | None]], ...] = (
        (words, figure, (lambda a: a.cost_usd) if priced else (lambda a: a.tokens)),
        ("time of an attempt", span, lambda a: a.seconds),
    )
    for said, shown, value in measures:
        rows = list(_rows(report, value))
        if any(any(row.values) for row in rows):
            yield _figure(f"Distribution: {said}, the median marked.", spreads(rows, said, shown))


def _figure(words: str, plot: Element) -> Element:
    return element("figure", element("figcaption", words), plot)


def _points(report: Report, x: Callable[[ConditionReport], Estimate | None]) -> Iterator[Point]:
    for number, condition in enumerate(report.conditions, 1):
        at = x(condition)
        if at is not None and condition.pass_rate is not None:
            yield Point(number, condition.name, at, condition.pass_rate)


def _by_task(report: Report) -> Iterator[Row]:
    cells = report.cells()
    for number, condition in enumerate(report.conditions, 1):
        shares = []
        for task in report.tasks:
            said = [a.passed for a in cells.get((task.name, condition.name), ())]
            checked = [passed for passed in said if passed is not None]
            if checked:
                shares.append(sum(checked) / len(checked))
        if shares:
            yield Row(number, condition.name, shares, sum(shares) / len(shares))


def _rows(report: Report, value: Callable[[AttemptFacts], float | None]) -> Iterator[Row]:
    for number, condition in enumerate(report.conditions, 1):
        own = (value(a) for a in report.attempts if a.done and a.condition == condition.name)
        values = sorted(figure for figure in own if figure is not None)
        if values:
            half = len(values) // 2
            middle = values[half] if len(values) % 2 else (values[half - 1] + values[half]) / 2
            yield Row(number, condition.name, values, middle)
