"""Patches: in colour on a terminal, to the byte everywhere else."""

from rich.console import Console
from rich.text import Text

from aideator_gateway.command.terminal import asis
from aideator_gateway.command.terminal.text import counted, name, patch_size
from aideator_gateway.printable import printable
from aideator_gateway.runs.model import Variation

STYLES = (
    ("diff --git ", "bold"),
    ("+++ ", "bold"),
    ("--- ", "bold"),
    ("@@", "cyan"),
    ("+", "green"),
    ("-", "red"),
)


def heading(variation: Variation) -> Text:
    """Return the line that stands above a patch."""
    stat = variation.patch
    size = f", {counted(stat.bytes, 'byte')}" if stat and stat.files else ""
    return Text(f"── variation {name(variation)}: {patch_size(stat)}{size} ", style="bold")


def show(console: Console, patch: bytes, *, at_most: int | None = None) -> int:
    """Print a patch.

    Parameters
    ----------
    at_most
        Lines to show on a terminal; ``None`` for all.

    Returns
    -------
    How many lines were left out.
    """
    if not console.file.isatty():
        # Piped, a patch stays what it is: files in other encodings are in it as they are.
        asis.write(patch)
        return 0
    lines = lines_of(patch)
    for line in lines[:at_most]:
        console.print(Text(printable(line), style=style_of(line)), soft_wrap=True)
    return len(lines) - len(lines[:at_most])


def lines_of(patch: bytes) -> list[str]:
    """Return a patch's lines: only a newline ends one, all else that looks so is shown."""
    return patch.decode(errors="replace").removesuffix("\n").split("\n") if patch else []


def style_of(line: str) -> str:
    """Return the style of a patch's line."""
    return next((style for start, style in STYLES if line.startswith(start)), "")
