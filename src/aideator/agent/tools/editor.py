"""The text editor that models are trained on, on the files of the repository."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from aideator.agent.git import Git
from aideator.agent.tools.base import MAX_RESULT_CHARS, ToolError, number_of, prompt, text_of
from aideator.agent.tools.list_files import ListFiles
from aideator.agent.workspace import Workspace
from aideator.protocol.task import EditorTool

_MAX_LINE_CHARS = 2_000
_CONTEXT = 4


class Editor:
    """View, create and edit files.

    Parameters
    ----------
    kind
        Whether the model knows the tool by its type or is sent its schema.
    """

    name = "str_replace_based_edit_tool"

    def __init__(self, git: Git, workspace: Workspace, kind: EditorTool) -> None:
        self._workspace = workspace
        self._list = ListFiles(git, workspace)
        self._kind = kind

    def definition(self) -> dict[str, Any]:
        """Return the tool as the Messages API describes it."""
        if self._kind == "native":
            return {
                "type": "text_editor_20250728",
                "name": self.name,
                "max_characters": MAX_RESULT_CHARS,
            }
        return {"name": self.name, "description": prompt(self.name), "input_schema": _SCHEMA}

    async def run(self, given: Mapping[str, Any]) -> str:
        """Do one command and return its result."""
        command = text_of(given, "command")
        path = text_of(given, "path")
        if command == "view" and self._workspace.resolve(path).is_dir():
            return await self._list.run({"path": path})
        commands: dict[str, Callable[[str, Mapping[str, Any]], str]] = {
            "view": self._view,
            "create": self._create,
            "str_replace": self._replace,
            "insert": self._insert,
        }
        if command not in commands:
            raise ToolError(f"There is no command {command!r}. Use one of {', '.join(commands)}.")
        return commands[command](path, given)

    def _view(self, path: str, given: Mapping[str, Any]) -> str:
        text = self._text(path)
        lines = _lines(text)
        if not lines:
            return f"{path} is empty."
        first, last = _range(given.get("view_range"), len(lines))
        note = _NOT_UTF8 if _has_other_bytes(text) else ""
        return note + _numbered(lines, first, last)

    def _create(self, path: str, given: Mapping[str, Any]) -> str:
        content = text_of(given, "file_text")
        new = self._workspace.write(path, content.encode("utf-8"))
        return f"{'Created' if new else 'Overwrote'} {path} ({len(_lines(content))} lines)."

    def _replace(self, path: str, given: Mapping[str, Any]) -> str:
        text = self._text(path)
        old, new = text_of(given, "old_str"), text_of(given, "new_str", "")
        if not old:
            raise ToolError("old_str is empty. Use insert to add text, or create for a new file.")
        if old not in text and "\r\n" in text:
            # The model does not see carriage returns, so it cannot write them.
            old, new = _with_crlf(old), _with_crlf(new)
        positions = _positions(text, old)
        if not positions:
            raise ToolError(_not_found(path, text, old))
        if len(positions) > 1:
            numbers = ", ".join(
                str(text.count("\n", 0, position) + 1) for position in positions[:20]
            )
            raise ToolError(
                f"old_str occurs {len(positions)} times in {path}, at lines {numbers}."
                " Nothing was changed. Add lines around it until it is unique."
            )
        if old == new:
            raise ToolError("old_str and new_str are the same. Nothing was changed.")
        start = positions[0]
        result = text[:start] + new + text[start + len(old) :]
        return self._changed(path, result, start, new)

    def _insert(self, path: str, given: Mapping[str, Any]) -> str:
        text = self._text(path)
        line = number_of(given, "insert_line")
        added = text_of(given, "insert_text", text_of(given, "new_str", ""))
        if not added:
            raise ToolError("insert_text is missing or empty.")
        lines = text.split("\n")
        count = len(_lines(text))
        if not 0 <= line <= count:
            raise ToolError(f"insert_line must be from 0 (before the first line) to {count}.")
        crlf = "\r\n" in text
        end = "\r\n" if crlf else "\n"
        added = _with_crlf(added) if crlf else added
        start = sum(len(part) + 1 for part in lines[:line])
        if start > len(text):
            # The last line has no end of its own yet, and the new last one gets none either.
            start, added = len(text), end + added.removesuffix(end)
        elif not added.endswith("\n"):
            added += end
        return self._changed(path, text[:start] + added + text[start:], start, added)

    def _changed(self, path: str, text: str, start: int, new: str) -> str:
        self._workspace.write(path, text.encode("utf-8", "surrogateescape"))
        lines = _lines(text)
        if not lines:
            return f"Edited {path}; it is empty now."
        first = text.count("\n", 0, start) + 1
        last = first + new.count("\n")
        part = _numbered(lines, max(1, first - _CONTEXT), min(len(lines), last + _CONTEXT))
        return f"Edited {path}. It now reads:\n{part}"

    def _text(self, path: str) -> str:
        data = self._workspace.read(path)
        if b"\0" in data:
            raise ToolError(f"{path} is a binary file ({len(data)} bytes). Leave it as it is.")
        # Bytes that are no UTF-8 survive the round trip as surrogates.
        return data.decode("utf-8", "surrogateescape")


_NOT_UTF8 = (
    "[This file is not UTF-8. Bytes shown as � stay as they are;"
    " leave them out of old_str, and edit around them.]\n"
)


def _lines(text: str) -> list[str]:
    lines = text.split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def _range(given: object, count: int) -> tuple[int, int]:
    if given is None:
        return 1, count
    if (
        not isinstance(given, list)
        or len(given) != 2
        or not all(isinstance(item, int) and not isinstance(item, bool) for item in given)
    ):
        raise ToolError("view_range must be two whole numbers: [first, last]; last may be -1.")
    first, last = given
    if last == -1 or last > count:
        last = count
    if not 1 <= first <= last:
        raise ToolError(f"view_range must lie within lines 1 to {count}, first before last.")
    return first, last


def _numbered(lines: list[str], first: int, last: int) -> str:
    shown: list[str] = []
    left = MAX_RESULT_CHARS
    for number in range(first, last + 1):
        line = _readable(lines[number - 1])
        if len(line) > _MAX_LINE_CHARS:
            line = f"{line[:_MAX_LINE_CHARS]}… [cut: the line has {len(line)} characters]"
        entry = f"{number:6}\t{line}"
        left -= len(entry) + 1
        if left < 0:
            shown.append(
                f"[cut: lines {number} to {last} are not shown."
                f" See them with view_range [{number}, {last}].]"
            )
            break
        shown.append(entry)
    return "\n".join(shown)


def _readable(line: str) -> str:
    line = line.removesuffix("\r")
    return line.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _has_other_bytes(text: str) -> bool:
    return any("\udc80" <= character <= "\udcff" for character in text)


def _with_crlf(text: str) -> str:
    return re.sub("\r?\n", "\r\n", text)


def _positions(text: str, old: str) -> list[int]:
    positions = []
    start = text.find(old)
    while start >= 0:
        positions.append(start)
        start = text.find(old, start + 1)
    return positions


def _not_found(path: str, text: str, old: str) -> str:
    wanted = [line.strip() for line in old.strip().splitlines()]
    message = f"old_str was not found in {path}. Nothing was changed."
    stripped = [line.strip() for line in text.split("\n")]
    for number, line in enumerate(stripped):
        if wanted and line == wanted[0] and stripped[number : number + len(wanted)] == wanted:
            return f"{message} It differs in white space only from line {number + 1} on."
    if wanted and wanted[0] and wanted[0] in stripped:
        return f"{message} Its first line is line {stripped.index(wanted[0]) + 1}; view it again."
    return f"{message} View the file and copy the text to the letter, without line numbers."


_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "command": {"type": "string", "enum": ["view", "create", "str_replace", "insert"]},
        "path": {"type": "string", "description": "File, or a directory to view."},
        "view_range": {
            "type": "array",
            "items": {"type": "integer"},
            "description": "For view: [first, last] line, from 1; last may be -1 for the end.",
        },
        "file_text": {"type": "string", "description": "For create: the whole content."},
        "old_str": {"type": "string", "description": "For str_replace: text to replace."},
        "new_str": {"type": "string", "description": "For str_replace: text in its place."},
        "insert_line": {
            "type": "integer",
            "description": "For insert: the line after which to insert; 0 for the beginning.",
        },
        "insert_text": {"type": "string", "description": "For insert: text to insert."},
    },
    "required": ["command", "path"],
    "additionalProperties": False,
}
