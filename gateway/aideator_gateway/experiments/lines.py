"""On which line of a TOML file something stands: the parser keeps no positions.

Of a file's first lines the parser itself is asked whether they are TOML, and whether the value is
among what they say. So nothing of the grammar is known here.
"""

import itertools
import re
import tomllib
from collections.abc import Sequence
from typing import Any

Path = Sequence[int | str]
"""Names and indexes that lead to a value."""

_AT_LINE = re.compile(r"at line (\d+)")


def line_of(text: str, path: Path) -> int:
    """Return the line, from 1, on which the value at ``path`` begins.

    Where there is no such value, it is the line of what it would be a part of. A value inside
    brackets or braces has the line on which they were opened.

    Parameters
    ----------
    text
        All of the file, which is TOML.
    """
    lines = text.split("\n")
    for length in range(len(path), 0, -1):
        if (found := _first(lines, path[:length])) is not None:
            return found
    return 1


def line_of_error(text: str, error: tomllib.TOMLDecodeError) -> int:
    """Return the line on which a text is no TOML."""
    found = _AT_LINE.search(str(error))
    return int(found[1]) if found else len(text.rstrip("\n").split("\n"))


def _first(lines: Sequence[str], path: Path) -> int | None:
    """Return where the value begins, if there is one."""
    if not _has(_parsed(lines, len(lines)), path):
        return None
    without, having = 0, len(lines)  # as many lines say nothing of it, as many do
    while True:
        middle = _whole(lines, without, having)
        if middle is None:
            return without + 1
        if _has(_parsed(lines, middle), path):
            having = middle
        else:
            without = middle


def _whole(lines: Sequence[str], least: int, most: int) -> int | None:
    """Return how many lines between the two numbers are TOML by themselves, near the middle."""
    middle = (least + most) // 2
    near = itertools.chain(range(middle, least, -1), range(middle + 1, most))
    return next((number for number in near if _parsed(lines, number) is not None), None)


def _parsed(lines: Sequence[str], number: int) -> dict[str, Any] | None:
    try:
        return tomllib.loads("\n".join(lines[:number]))
    except tomllib.TOMLDecodeError:
        return None  # it ends inside a value


def _has(value: Any, path: Path) -> bool:
    for part in path:
        match value, part:
            case dict(), str() if part in value:
                value = value[part]
            case list(), int() if part < len(value):
                value = value[part]
            case _:
                return False
    return True
