"""A run with its variations side by side, where the terminal is wide enough."""

import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console, RenderableType
from rich.live import Live
from rich.table import Table

from aideator_gateway.command.terminal.events import VariationEvent
from aideator_gateway.command.terminal.pane import Pane
from aideator_gateway.runs.model import Variation

MIN_WIDTH = 60
"""Characters of the terminal's width that each variation needs."""

MAX_HEIGHT = 40
MIN_HEIGHT = 8


def fits(console: Console, variations: int) -> bool:
    """Whether there is room to show so many variations side by side."""
    return (
        variations > 1
        and console.is_terminal
        and not console.is_dumb_terminal
        and console.width >= MIN_WIDTH * variations
        and console.height >= MIN_HEIGHT + 2
    )


class Columns:
    """Shows events in one column a variation, redrawn in place.

    Parameters
    ----------
    console
        A terminal that ``fits``.
    variations
        Whose events come.
    scripted
        Whether their model is the scripted demo.
    """

    def __init__(
        self, console: Console, variations: Sequence[Variation], *, scripted: bool
    ) -> None:
        self._console = console
        self._panes = {v.variation_id: Pane(v, scripted=scripted) for v in variations}
        self._lock = threading.Lock()
        # A thread of its own redraws: the clock goes on while no event comes.
        self._live = Live(
            console=console,
            get_renderable=self._render,
            refresh_per_second=8,
            vertical_overflow="crop",
        )

    def __enter__(self) -> Self:
        self._live.start(refresh=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None:
            with self._lock:
                for pane in self._panes.values():
                    pane.leave()
        self._live.stop()

    def show(self, event: VariationEvent) -> None:
        """Show one event."""
        with self._lock:
            self._panes[event.variation_id].add(event)

    def _render(self) -> RenderableType:
        width = self._console.width // len(self._panes)
        height = max(MIN_HEIGHT, min(self._console.height - 2, MAX_HEIGHT))
        grid = Table.grid()
        for _ in self._panes:
            grid.add_column(width=width)
        with self._lock:
            grid.add_row(
                *(pane.render(self._console, width, height) for pane in self._panes.values())
            )
        return grid
