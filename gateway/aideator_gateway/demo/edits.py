"""Small edits that need no understanding of a repository, only a look at it."""

from collections.abc import Sequence
from dataclasses import dataclass

from aideator_gateway.scripted_model.conversation import EDITOR, Seen
from aideator_gateway.scripted_model.script import ToolUse


@dataclass(frozen=True)
class Change:
    """A tool call that changes a file, and a line by which the result can be told."""

    path: str
    call: ToolUse
    marker: str


@dataclass(frozen=True)
class Edit:
    """A change with words: what led to it, and what has been done with it."""

    change: Change
    why: str
    done: str


def view(path: str) -> ToolUse:
    """Read a file."""
    return ToolUse(EDITOR, {"command": "view", "path": path})


def create(path: str, lines: Sequence[str]) -> Change:
    """Write a new file."""
    text = "\n".join(lines) + "\n"
    call = ToolUse(EDITOR, {"command": "create", "path": path, "file_text": text})
    return Change(path, call, lines[0])


def append(seen: Seen, path: str, lines: Sequence[str]) -> Change | None:
    """Add lines to the end of a file, if all of it has been read."""
    if path in seen.cut or not (old := seen.views.get(path)):
        return None
    call = ToolUse(
        EDITOR,
        {
            "command": "insert",
            "path": path,
            "insert_line": len(old),
            "insert_text": "\n".join(lines) + "\n",
        },
    )
    return Change(path, call, next(line for line in lines if line))


def put_before(seen: Seen, path: str, line: int, lines: Sequence[str]) -> Change | None:
    """Put lines before line number ``line``, counted from 1, by replacing text around it.

    As many lines are replaced as it takes for them to be found only once; ``None`` if
    even all that were seen are not.
    """
    old = seen.views.get(path, ())
    whole = "\n".join(old)
    for end in range(line, len(old) + 1):
        found = "\n".join(old[line - 1 : end])
        if found.strip() and whole.count(found) == 1:
            call = ToolUse(
                EDITOR,
                {
                    "command": "str_replace",
                    "path": path,
                    "old_str": found,
                    "new_str": "\n".join([*lines, found]),
                },
            )
            return Change(path, call, lines[0])
    return None


def counted(number: int, noun: str) -> str:
    """Say how many there are."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def join(names: Sequence[str]) -> str:
    """Join names as a sentence does."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
