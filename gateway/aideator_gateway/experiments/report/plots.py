"""Plots of a report, as SVG. Their colours come from the style sheet."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from aideator_gateway.experiments.report.elements import Element, element
from aideator_gateway.experiments.report.words import Figure, percent
from aideator_gateway.experiments.statistics.estimate import Estimate

WIDTH, HEIGHT = 640, 320
LEFT, RIGHT, TOP, BOTTOM = 76, 40, 20, 54
BINS = 20
ROW = 46


@dataclass(frozen=True)
class Scale:
    """Where a value is drawn.

    Attributes
    ----------
    low, high
        Values at both ends.
    start, end
        Where the ends are.
    """

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the place of a value."""
        share = (value - self.low) / (self.high - self.low)
        return self.start + min(1.0, max(0.0, share)) * (self.end - self.start)


@dataclass(frozen=True)
class Point:
    """A condition in a plot of one figure against another."""

    number: int
    name: str
    x: Estimate
    y: Estimate


def against(points: Sequence[Point], x_words: str, x_figure: Figure) -> Element:
    """Return pass rates against another figure, each with its interval."""
    most = max(p.x.interval.high if p.x.interval else p.x.value for p in points)
    ticks = _ticks(most)
    x = Scale(0.0, max(ticks[-1], most), LEFT, WIDTH - RIGHT)
    y = Scale(0.0, 1.0, HEIGHT - BOTTOM, TOP)
    drawn = [_axis_x(x, ticks, x_figure, HEIGHT - BOTTOM, TOP)]
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        at = y(tick)
        drawn.append(_line(LEFT, at, WIDTH - RIGHT, at, "grid"))
        drawn.append(_label(LEFT - 8, at + 5, percent(tick), "end"))
    drawn.append(_label((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, x_words, "middle"))
    drawn += [_point(point, x, y) for point in points]
    names = "; ".join(f"{p.name}: {percent(p.y.value)} at {x_figure(p.x.value)}" for p in points)
    return _svg(HEIGHT, f"Checks passed against {x_words}. {names}.", drawn)


def _point(point: Point, x: Scale, y: Scale) -> Element:
    at_x, at_y = x(point.x.value), y(point.y.value)
    bars = []
    if point.y.interval:
        bars.append(_line(at_x, y(point.y.interval.low), at_x, y(point.y.interval.high), "whisker"))
    if point.x.interval:
        bars.append(_line(x(point.x.interval.low), at_y, x(point.x.interval.high), at_y, "whisker"))
    return element(
        "g",
        bars,
        element("circle", cx=at_x, cy=at_y, r=10.0, class_="dot"),
        element("text", str(point.number), x=at_x, y=at_y + 4, text_anchor="middle", class_="in"),
        class_=f"series-{(point.number - 1) % 6 + 1}",
    )


@dataclass(frozen=True)
class Row:
    """A condition's values in a plot of how they spread."""

    number: int
    name: str
    values: Sequence[float]
    middle: float


def spreads(rows: Sequence[Row], words: str, figure: Figure, most: float | None = None) -> Element:
    """Return how values spread, a histogram for each condition.

    Parameters
    ----------
    most
        Largest value that there can be; else the axis goes as far as the values do.
    """
    top = most or max(max(row.values) for row in rows)
    ticks = [0.0, 0.25, 0.5, 0.75, 1.0] if most else _ticks(top)
    x = Scale(0.0, max(ticks[-1], top), LEFT, WIDTH - RIGHT)
    height = TOP + ROW * len(rows) + BOTTOM
    drawn = [_axis_x(x, ticks, figure, height - BOTTOM, TOP)]
    counts = [_binned(row.values, x.high) for row in rows]
    # Shares of each condition's own: an experiment that goes on has more attempts of some.
    largest = max(max(own) / len(row.values) for own, row in zip(counts, rows, strict=True))
    for place, (row, own) in enumerate(zip(rows, counts, strict=True)):
        drawn.append(_bars(row, own, TOP + ROW * (place + 1), x, largest))
    drawn.append(_label((LEFT + WIDTH - RIGHT) / 2, height - 8, words, "middle"))
    names = "; ".join(
        f"{row.name}: from {figure(min(row.values))} to {figure(max(row.values))}, "
        f"in the middle {figure(row.middle)}"
        for row in rows
    )
    return _svg(height, f"Distribution of {words}. {names}.", drawn)


def _binned(values: Sequence[float], high: float) -> list[int]:
    counts = [0] * BINS
    for value in values:
        counts[min(BINS - 1, int(BINS * value / high))] += 1
    return counts


def _bars(row: Row, counts: Sequence[int], base: float, x: Scale, largest: float) -> Element:
    width = (x.end - x.start) / BINS
    bars = [
        element(
            "rect",
            x=x.start + place * width + 1,
            width=width - 2,
            y=base - (tall := (ROW - 12) * count / len(row.values) / largest),
            height=tall,
            class_="bar",
        )
        for place, count in enumerate(counts)
        if count
    ]
    at = x(row.middle)
    return element(
        "g",
        _line(x.start, base, x.end, base, "grid"),
        bars,
        _line(at, base - ROW + 8, at, base + 4, "middle"),
        _label(LEFT - 12, base - 6, str(row.number), "end"),
        class_=f"series-{(row.number - 1) % 6 + 1}",
    )


def _axis_x(x: Scale, ticks: Sequence[float], figure: Figure, base: float, top: float) -> Element:
    return element(
        "g",
        [
            (_line(x(t), top, x(t), base, "grid"), _label(x(t), base + 20, figure(t), "middle"))
            for t in ticks
        ],
    )


def _ticks(most: float) -> list[float]:
    """Return round values from 0 to ``most`` or a little more."""
    if most <= 0:
        return [0.0, 1.0]
    rough = most / 4
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= rough)
    return [step * number for number in range(math.ceil(most / step - 1e-9) + 1)]


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Element:
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=kind)


def _label(x: float, y: float, text: str, anchor: str) -> Element:
    return element("text", text, x=x, y=y, text_anchor=anchor)


def _svg(height: float, words: str, drawn: Sequence[Element]) -> Element:
    return element(
        "svg",
        element("title", words),
        drawn,
        viewBox=f"0 0 {WIDTH} {height:g}",
        role="img",
        aria_label=words,
        class_="plot",
    )
