"""Two patches beside each other, file by file, in as many columns as the terminal has."""

import itertools
from collections.abc import Iterator, Sequence

from rich.cells import cell_len, chop_cells, set_cell_size
from rich.console import Console
from rich.text import Text

from aideator_gateway.command.terminal.patches import lines_of, style_of
from aideator_gateway.printable import printable

WIDE = 120
"""Columns from which on two patches have room beside each other."""

_BETWEEN = " │ "

_TAB = 4

_HEADER = "diff --git "


def show_side_by_side(console: Console, left: bytes, right: bytes) -> None:
    """Print two patches: each file of one beside the same file of the other."""
    width = (console.width - len(_BETWEEN)) // 2
    ours, theirs = _by_file(left), _by_file(right)
    for file in sorted({*ours, *theirs}):
        rows = itertools.zip_longest(
            _cells(ours.get(file, ()), width), _cells(theirs.get(file, ()), width)
        )
        for one, other in rows:
            text, style = one or ("", "")
            line = Text(set_cell_size(text, width), style=style, end="")
            line.append(_BETWEEN, style="dim")
            if other:
                line.append(Text(other[0], style=other[1]))
            line.rstrip()
            console.print(line, soft_wrap=True)


def _by_file(patch: bytes) -> dict[str, Sequence[str]]:
    """Return the lines about each file, by their header."""
    found: dict[str, list[str]] = {}
    lines: list[str] = found.setdefault("", [])
    for line in lines_of(patch):
        if line.startswith(_HEADER):
            lines = found.setdefault(line, [])
        lines.append(line)
    return {header: lines for header, lines in found.items() if lines}


def _cells(lines: Sequence[str], width: int) -> Iterator[tuple[str, str]]:
    """Give what stands in each row of one side, and its style; a long line takes several."""
    for line in lines:
        text = printable(line).expandtabs(_TAB)
        parts = [text] if cell_len(text) <= width else chop_cells(text, width)
        for part in parts:
            yield part, style_of(line)
