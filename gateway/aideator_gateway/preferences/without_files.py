"""Conversations without what is in files."""

from collections.abc import Iterable
from typing import Any

from aideator_gateway.preferences.conversation import Message

LEFT_OUT = "[left out]"

KEPT = frozenset({"command", "path", "view_range", "insert_line", "pattern", "files", "literal"})
"""Arguments of tools that are not what is in a file: which one, where in it, what is looked for."""


def without_files(messages: Iterable[Message]) -> list[Message]:
    """Return messages with a mark in place of what tools answered and of what edits write."""
    return [_without(message) for message in messages]


def _without(message: Message) -> Message:
    if message["role"] == "tool":
        return {**message, "content": LEFT_OUT}
    if "tool_calls" not in message:
        return message
    return {**message, "tool_calls": [_call(call) for call in message["tool_calls"]]}


def _call(call: dict[str, Any]) -> dict[str, Any]:
    function = call["function"]
    given = function["arguments"]
    arguments = (
        {name: value if name in KEPT else LEFT_OUT for name, value in given.items()}
        if isinstance(given, dict)
        else LEFT_OUT
    )
    return {**call, "function": {**function, "arguments": arguments}}
