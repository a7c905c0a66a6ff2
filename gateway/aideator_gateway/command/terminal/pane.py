"""One variation's column: how it stands, and the last lines of what it said and did."""

import time
from collections import deque
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, Group
from rich.panel import Panel
from rich.text import Text

from aideator.protocol import Status, Usage
from aideator_gateway.command.terminal.events import (
    CHECK_STYLES,
    VariationEvent,
    check_label,
    describe,
    is_speech,
)
from aideator_gateway.command.terminal.text import SCRIPTED, colour, figures, name
from aideator_gateway.printable import printable
from aideator_gateway.runs.frames import Checked, Completion, Failure, Message
from aideator_gateway.runs.model import Variation

KEPT = 200
"""Entries that a column remembers: more than any terminal has lines."""

STYLES = {
    Status.PENDING: "dim",
    Status.RUNNING: "bold",
    Status.COMPLETED: "bold green",
    Status.FAILED: "bold red",
    Status.CANCELLED: "bold red",
    Status.INTERRUPTED: "bold red",
}


@dataclass
class _Entry:
    text: str
    style: str
    turn: int | None
    attempt: int | None
    kind: str


class Pane:
    """One variation as it goes on.

    Parameters
    ----------
    variation
        How it stands at the start.
    scripted
        Whether its model is the scripted demo, which the title then says.
    checked
        Whether a check of its result follows.
    """

    def __init__(self, variation: Variation, *, scripted: bool, checked: bool = False) -> None:
        self._checked = checked
        self._check: Checked | None = None
        self._number = variation.variation_id
        self._name = name(variation)
        self._scripted = scripted
        self._status = variation.status
        self._left = False
        self._turn = 0
        self._usage = Usage()
        self._seconds: float | None = None
        self._started: float | None = None
        self._entries: deque[_Entry] = deque(maxlen=KEPT)

    def add(self, event: VariationEvent) -> None:
        """Take one event in."""
        if self._started is None:
            self._started = time.monotonic()
            self._status = Status.RUNNING
        if isinstance(event, Message):
            self._message(event)
            if event.type == "usage":
                return  # the figures above the text show it
        elif isinstance(event, Checked):
            self._check = event
        else:
            self._end(event)
        line, style = describe(event, scripted=self._scripted)
        if line and not is_speech(event):
            self._entries.append(_Entry(line, style, None, None, "line"))

    def _message(self, event: Message) -> None:
        self._turn = event.turn or self._turn
        if event.total is not None:
            self._usage = event.total
        if event.type == "retry":
            for entry in self._entries:
                if entry.turn == event.turn:
                    entry.style = "dim strike"
        if not is_speech(event):
            return
        last = self._entries[-1] if self._entries else None
        if last and (last.kind, last.turn, last.attempt) == (event.type, event.turn, event.try_):
            last.text += event.content or ""
        else:
            style = "dim" if event.type == "thinking" else ""
            self._entries.append(
                _Entry(event.content or "", style, event.turn, event.try_, event.type)
            )

    def _end(self, event: Completion | Failure) -> None:
        self._status = event.status
        self._seconds = event.seconds
        # An end that the gateway wrote for a silent agent knows no figures.
        if event.turns:
            self._turn, self._usage = event.turns, event.usage

    def leave(self) -> None:
        """Take in that nothing more will be heard of it."""
        self._left = not self._status.ended
        self._checked = False

    def render(self, console: Console, width: int, height: int) -> Panel:
        """Return the column, ``width`` characters and ``height`` lines in size."""
        header = self._header().wrap(console, width - 4)
        return Panel(
            Group(*header, *self._tail(console, width - 4, height - 2 - len(header))),
            title=self._title(width - 6),
            title_align="left",
            border_style=colour(self._number),
            width=width,
            height=height,
        )

    def line(self, width: int, *, seen: bool) -> Text:
        """Return how it stands, in one line of at most ``width`` characters."""
        mark = ("▸ " if seen else "  ", "bold")
        line = Text.assemble(mark, (f"{self._name} ", colour(self._number)), self._header())
        line.truncate(width, overflow="ellipsis")
        return line

    def _title(self, width: int) -> Text:
        title = f"variation {self._name}"
        if not self._scripted:
            return Text(title)
        whole = f"{title} · {SCRIPTED}"
        # That it is no model is said in any case; who it is, the colour and the place say, too.
        return Text(whole if cell_len(whole) <= width else f"{self._number} · {SCRIPTED}")

    def _header(self) -> Text:
        seconds = self._seconds
        if seconds is None and self._started is not None:
            seconds = time.monotonic() - self._started
        shown = figures(self._turn, self._usage, seconds, scripted=self._scripted)
        if not self._status.ended:
            shown[0] = f"turn {self._turn}"
        label = f"{self._status} when last heard of" if self._left else str(self._status)
        status = (label, STYLES[self._status])
        return Text.assemble(status, *self._check_part(), (f" · {' · '.join(shown)}", "dim"))

    def _check_part(self) -> list[tuple[str, str]]:
        """Return how its check stands, once that is what is left."""
        if self._check is not None:
            return [(f" · check {check_label(self._check)}", CHECK_STYLES[self._check.status])]
        if self._checked and self._status.ended:
            return [(" · check is running", "bold")]
        return []

    def _tail(self, console: Console, width: int, height: int) -> list[Text]:
        """Return the last lines that there is room for."""
        lines: list[Text] = []
        for entry in reversed(self._entries):
            # Only the end of a long text can be seen, so only that is wrapped.
            seen = printable(entry.text[-width * height :]).rstrip("\n")
            lines = [*Text(seen, style=entry.style).wrap(console, width), *lines]
            if len(lines) >= height:
                break
        return lines[-height:]
