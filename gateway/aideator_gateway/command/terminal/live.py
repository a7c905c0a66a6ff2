"""The view of a run as it goes on that fits where it is shown."""

from collections.abc import Sequence

from rich.console import Console

from aideator_gateway.command.terminal.columns import Columns, fits
from aideator_gateway.command.terminal.lines import Lines
from aideator_gateway.command.terminal.view import View
from aideator_gateway.runs.model import Variation


def live_view(
    console: Console, variations: Sequence[Variation], *, scripted: bool, checked: bool = False
) -> View:
    """Return what is drawn in place where a terminal has room for it, else lines."""
    if fits(console, len(variations)):
        return Columns(console, variations, scripted=scripted, checked=checked)
    return Lines(console, variations, scripted=scripted)
