"""What an agent said and did, to be read from beginning to end."""

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from aideator.protocol import AnyEvent
from aideator_gateway.command.terminal.events import VariationEvent, describe, is_speech
from aideator_gateway.printable import printable
from aideator_gateway.runs.frames import Completion, Failure, Message
from aideator_gateway.runs.frames import describe as as_clients_see

SUPERSEDED = "dim strike"


class Reading:
    """Prints a transcript as text.

    Parameters
    ----------
    console
        Where to.
    events
        Those of one attempt, in order.
    scripted
        Whether the model is the scripted demo.
    """

    def __init__(self, console: Console, events: Sequence[AnyEvent], *, scripted: bool) -> None:
        self._console = console
        self._scripted = scripted
        self._events = [
            event
            for _, event in map(as_clients_see, events)
            if isinstance(event, Message | Completion | Failure)
        ]
        self._counts: dict[int, int] = {}
        for event in self._events:
            if isinstance(event, Message) and event.turn is not None:
                before = self._counts.get(event.turn, 1)
                self._counts[event.turn] = max(before, event.try_ or 1)
        self._turn = 0
        self._said = ""
        self._kind = ("", "")

    def show(self) -> None:
        """Print all of it."""
        for event in self._events:
            style = self._of_turn(event) if isinstance(event, Message) else ""
            if isinstance(event, Message) and is_speech(event):
                kind = (event.type, style or ("dim" if event.type == "thinking" else ""))
                if kind != self._kind:
                    self._end_speech()
                self._kind = kind
                self._said += event.content or ""
            else:
                self._show(event, style)
        self._end_speech()

    def _of_turn(self, event: Message) -> str:
        """Begin a turn where an event does, and return the style if it does not count."""
        if event.turn is None:
            return ""
        if event.turn != self._turn:
            self._end_speech()
            self._turn = event.turn
            self._console.print(Text(f"\n── turn {event.turn} ", style="bold"))
        return SUPERSEDED if (event.try_ or 1) < self._counts[event.turn] else ""

    def _show(self, event: VariationEvent, style: str) -> None:
        self._end_speech()
        line, own = describe(event, scripted=self._scripted)
        if line:
            self._console.print(Text(line, style=style or own))

    def _end_speech(self) -> None:
        if self._said.strip():
            self._console.print(Text(printable(self._said.rstrip("\n")), style=self._kind[1]))
        self._said = ""
