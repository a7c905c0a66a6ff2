"""The few things that scripted solutions do, in short."""

from typing import Any

from aideator_gateway.scripted_model.script import Reply, Text, ToolUse

EDITOR = "str_replace_based_edit_tool"


def turn(text: str, *calls: ToolUse) -> Reply:
    """Return a turn: words, then tool calls."""
    return [Text(text), *calls]


def files() -> ToolUse:
    """List all files."""
    return ToolUse("list_files", {})


def search(pattern: str) -> ToolUse:
    """Search all files."""
    return ToolUse("search_text", {"pattern": pattern})


def view(path: str) -> ToolUse:
    """Read a file."""
    return _edit("view", path)


def replace(path: str, old: str, new: str) -> ToolUse:
    """Replace a text that occurs once."""
    return _edit("str_replace", path, old_str=old, new_str=new)


def create(path: str, text: str) -> ToolUse:
    """Write a whole file."""
    return _edit("create", path, file_text=text)


def _edit(command: str, path: str, **given: Any) -> ToolUse:
    return ToolUse(EDITOR, {"command": command, "path": path, **given})
