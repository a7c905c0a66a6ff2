"""A run as it goes on: variations side by side, or one of them below a line for each.

In the latter case keys say which one that is.
"""

import threading
from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.control import Control
from rich.live import Live
from rich.table import Table
from rich.text import Text

from aideator_gateway.command.terminal.events import VariationEvent
from aideator_gateway.command.terminal.focus import Focus
from aideator_gateway.command.terminal.keys import Keys
from aideator_gateway.command.terminal.pane import Pane
from aideator_gateway.command.terminal.view import View
from aideator_gateway.runs.frames import Message
from aideator_gateway.runs.model import Variation

MIN_WIDTH = 40
"""Characters of the terminal's width that each variation needs."""

_HINT = "1-{last}, Tab, arrows: look at one · 0: at whoever speaks"

MAX_HEIGHT = 40
MIN_HEIGHT = 8


def fits(console: Console, variations: int) -> bool:
    """Whether so many variations can be shown in place."""
    return (
        variations > 1
        and console.is_terminal
        and not console.is_dumb_terminal
        and console.width >= MIN_WIDTH
        and console.height >= MIN_HEIGHT + 2 + variations
    )


class Columns(View):
    """Shows events in place: in one column a variation where the terminal is wide enough.

    Where it is not, each variation has a line, and one of them is shown below. The window may
    change its size at any time. The console is a terminal that ``fits``.

    Parameters
    ----------
    checked
        Whether a check of each result follows.
    """

    def __init__(
        self,
        console: Console,
        variations: Sequence[Variation],
        *,
        scripted: bool,
        checked: bool = False,
    ) -> None:
        super().__init__(console, variations, scripted=scripted)
        self._panes = {
            v.variation_id: Pane(v, scripted=scripted, checked=checked) for v in self._variations
        }
        self._focus = Focus(min(self._panes))
        self._lock = threading.Lock()
        self._keys = Keys(self._pressed, self._resumed)
        self._anew = False
        self._live = self._new_live()
        self._size = console.size

    def _new_live(self) -> Live:
        # A thread of its own redraws: the clock goes on while no event comes.
        return Live(
            console=self._console,
            get_renderable=self._render,
            refresh_per_second=8,
            vertical_overflow="crop",
        )

    def _open(self) -> None:
        self._keys.open()
        try:
            self._live.start(refresh=True)
        except BaseException:
            self._keys.close()
            raise

    def _close(self, *, left: bool) -> None:
        # First of all: whatever else fails, the terminal is as it was.
        self._keys.close()
        if left:
            with self._lock:
                for pane in self._panes.values():
                    pane.leave()
        self._live.stop()

    def show(self, event: VariationEvent) -> None:
        """Show one event."""
        with self._lock:
            self._panes[event.variation_id].add(event)
            self._focus.hear(event.variation_id, ended=not isinstance(event, Message))
        if self._anew or self._console.size != self._size:
            self._begin_anew()

    def _pressed(self, key: str) -> None:
        """Look at the variation that a key names; 0 leaves it to whoever speaks."""
        numbers = list(self._panes)
        with self._lock:
            at = numbers.index(self._focus.number)
            if key in ("next", "previous"):
                step = 1 if key == "next" else -1
                self._focus.choose(numbers[(at + step) % len(numbers)])
            elif key == "0":
                self._focus.choose(None)
            elif key in map(str, numbers):
                self._focus.choose(int(key))
            else:
                return
        self._live.refresh()

    def _resumed(self) -> None:
        # A signal may come at any moment: the picture is drawn with the next event.
        self._anew = True

    def _begin_anew(self) -> None:
        """Draw on an empty screen: where the last picture is now, only the terminal knows."""
        self._size = self._console.size
        self._anew = False
        self._live.stop()
        self._console.control(Control.clear(), Control.home())
        self._live = self._new_live()
        self._live.start(refresh=True)

    def _render(self) -> RenderableType:
        height = max(MIN_HEIGHT, min(self._console.height - 2, MAX_HEIGHT))
        if self._console.width < MIN_WIDTH * len(self._panes):
            return self._one_below_lines(height)
        width = self._console.width // len(self._panes)
        grid = Table.grid()
        for _ in self._panes:
            grid.add_column(width=width)
        with self._lock:
            grid.add_row(
                *(pane.render(self._console, width, height) for pane in self._panes.values())
            )
        return grid

    def _one_below_lines(self, height: int) -> RenderableType:
        with self._lock:
            seen = self._focus.number
            lines = [
                pane.line(self._console.width, seen=number == seen)
                for number, pane in self._panes.items()
            ]
            room = max(MIN_HEIGHT, height - len(lines))
            below = []
            if self._keys.active and room > MIN_HEIGHT:
                room -= 1
                below = [Text(_HINT.format(last=len(lines)), style="dim")]
                below[0].truncate(self._console.width, overflow="ellipsis")
            pane = self._panes[seen].render(self._console, self._console.width, room)
            return Group(*lines, pane, *below)
