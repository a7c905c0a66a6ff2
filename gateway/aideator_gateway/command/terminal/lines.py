"""A run as lines that say whose they are, for narrow terminals and for pipes."""

from collections.abc import Sequence

from rich.cells import cell_len, chop_cells
from rich.console import Console
from rich.text import Text

from aideator_gateway.command.terminal.events import VariationEvent, describe, is_speech
from aideator_gateway.command.terminal.text import colour, short_name
from aideator_gateway.command.terminal.view import View
from aideator_gateway.printable import printable
from aideator_gateway.runs.frames import Failure, Message
from aideator_gateway.runs.model import Variation

PIPED_WIDTH = 100
"""Most characters of running text in one line where there is no terminal to say."""


TAB = " " * 4


class Lines(View):
    """Shows events as lines, each with the number of its variation."""

    def __init__(
        self, console: Console, variations: Sequence[Variation], *, scripted: bool
    ) -> None:
        super().__init__(console, variations, scripted=scripted)
        self._labels = {v.variation_id: f"[{short_name(v)}] " for v in self._variations}
        longest = max(cell_len(label) for label in self._labels.values())
        self._width = max(20, console.width - longest) if console.is_terminal else PIPED_WIDTH
        self._partial: dict[int, tuple[str, str]] = {}
        self._failures: dict[tuple[str, str], int] = {}

    def _close(self, *, left: bool) -> None:
        del left
        for number in list(self._partial):
            self._flush(number)

    def show(self, event: VariationEvent) -> None:
        """Show one event; running text is shown once it fills a line, or ends."""
        number = event.variation_id
        if isinstance(event, Message) and is_speech(event):
            # Before lines are filled: what is made visible takes more room.
            self._say(
                number, printable(event.content or ""), "dim" if event.type == "thinking" else ""
            )
            return
        self._flush(number)
        if isinstance(event, Failure):
            # What ends the whole run ends each variation with the same words: once is enough.
            first = self._failures.setdefault((event.code, event.message), number)
            if first != number:
                line = f"{event.status} ({event.code}), as variation {first}"
                self._line(number, line, "bold red")
                return
        line, style = describe(event, scripted=self._scripted)
        if line and self._console.is_terminal:
            # A terminal would go on below without saying whose line it is.
            line = self._fill(number, line, style)
        if line:
            self._line(number, line, style)

    def _say(self, number: int, text: str, style: str) -> None:
        before, style_before = self._partial.get(number, ("", style))
        if style_before != style:
            self._flush(number)
            before = ""
        *whole, rest = (before + text).split("\n")
        for line in whole:
            rest_of_line = self._fill(number, line, style)
            self._line(number, rest_of_line, style)
        self._partial[number] = (self._fill(number, rest, style), style)

    def _fill(self, number: int, text: str, style: str) -> str:
        """Show the full lines of ``text`` and return what is left."""
        if self._console.is_terminal:
            # Where a tab leads to, behind a label, nobody could say.
            text = text.replace("\t", TAB)
        while cell_len(text) > self._width:
            fits = len(chop_cells(text[: self._width + 1], self._width)[0])
            cut = text.rfind(" ", 0, fits + 1) + 1 or fits
            self._line(number, text[:cut].rstrip(), style)
            text = text[cut:]
        return text

    def _flush(self, number: int) -> None:
        rest, style = self._partial.pop(number, ("", ""))
        if rest:
            self._line(number, rest, style)

    def _line(self, number: int, line: str, style: str) -> None:
        label = (self._labels[number], colour(number))
        self._console.print(Text.assemble(label, (line, style)), soft_wrap=True)
