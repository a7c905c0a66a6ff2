"""What a tool is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

MAX_RESULT_CHARS = 40_000
"""Longest result of any tool; what was cut is always named, with how to see it."""

_PROMPTS = Path(__file__).parent.parent / "prompts"


class ToolError(Exception):
    """A call that cannot be done; the text tells the model what to do instead."""


class Tool(Protocol):
    """One tool that the model may call."""

    name: str

    def definition(self) -> dict[str, Any]:
        """Return the tool as the Messages API describes it."""

    async def run(self, given: Mapping[str, Any]) -> str:
        """Do what was asked and return what the model gets to read.

        Raises
        ------
        ToolError, WorkspaceError
            It cannot be done; the text goes to the model.
        """


def prompt(name: str) -> str:
    """Return one of the texts in ``prompts/``."""
    return (_PROMPTS / f"{name}.md").read_text(encoding="utf-8").strip()


def text_of(given: Mapping[str, Any], name: str, default: str | None = None) -> str:
    """Return a text argument.

    Raises
    ------
    ToolError
        It is missing and has no default, or is no text.
    """
    value = given.get(name)
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        problem = "is missing" if value is None else "must be a string"
        raise ToolError(f"The argument {name} {problem}.")
    return value


def number_of(given: Mapping[str, Any], name: str) -> int:
    """Return a whole-number argument.

    Raises
    ------
    ToolError
        It is missing or no whole number.
    """
    value = given.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ToolError(f"The argument {name} must be a whole number.")
    return value


def flag_of(given: Mapping[str, Any], name: str) -> bool:
    """Return a yes-or-no argument; missing means no.

    Raises
    ------
    ToolError
        It is neither true nor false.
    """
    value = given.get(name, False)
    if not isinstance(value, bool):
        raise ToolError(f"The argument {name} must be true or false.")
    return value
