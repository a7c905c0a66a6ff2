"""From what was said at the shell to the body of ``POST /runs``."""

import contextlib
import json
import re
import sys
from pathlib import Path
from typing import Any, get_args

import click
from pydantic import ValidationError

from aideator.protocol import Condition, Styles, VariationLimits
from aideator.protocol.findings import Finding, findings, unknown_field
from aideator_gateway.command.cli.field_names import named
from aideator_gateway.runs.model import NewRun

_LIMITS = tuple(VariationLimits.model_fields)
_KEYS = (*(name for name in Condition.model_fields if name != "limits"), *_LIMITS)
_NUMBERS = (
    *_LIMITS,
    *(
        name
        for name, field in Condition.model_fields.items()
        if {int, float} & {*get_args(field.annotation)}
    ),
)
_BETWEEN = re.compile(rf",(?=(?:{'|'.join(_KEYS)})=)")


def prompt_text(argument: str) -> str:
    """Return the prompt: the argument, ``-`` for standard input, ``@FILE`` for a file.

    Raises
    ------
    click.BadParameter
        If the file cannot be read as UTF-8 text.
    """
    if argument == "-":
        try:
            return sys.stdin.read()
        except ValueError as error:
            raise click.BadParameter(f"- cannot be read ({error}).", param_hint="PROMPT") from None
    return _from_file(argument, "PROMPT")


def _from_file(value: str, hint: str) -> str:
    if not value.startswith("@"):
        return value
    try:
        return Path(value[1:]).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise click.BadParameter(
            f"{value[1:]!r} cannot be read ({_reason(error)}).", param_hint=hint
        ) from None


def conditions(
    given: tuple[str, ...], file: Path | None, style: tuple[str, ...], styles: Styles
) -> list[Condition] | None:
    """Return the conditions of the variations, ``None`` if there are none.

    Parameters
    ----------
    given
        ``KEY=VALUE[,KEY=VALUE…]`` each; a value ``@FILE`` is what the file holds.
    file
        A JSON list of conditions, which come first.
    style
        Names of styles, each a condition; they come last.
    styles
        The styles that are known.

    Raises
    ------
    click.BadParameter
        If one cannot be used.
    """
    found = [] if file is None else _from_list(file, styles)
    for number, text in enumerate(given, start=1):
        hint = f"--condition {number}"
        found.append(_valid(_values(text, hint), styles, hint))
    for number, name in enumerate(style, start=1):
        found.append(_valid({"style": name}, styles, f"--style {number}"))
    return found or None


def _from_list(file: Path, styles: Styles) -> list[Condition]:
    hint = "--conditions"
    try:
        held = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise click.BadParameter(
            f"{file} is not a JSON list of conditions ({_reason(error)}).", param_hint=hint
        ) from None
    if not isinstance(held, list):
        raise click.BadParameter(f"{file} is not a JSON list of conditions.", param_hint=hint)
    return [
        _valid(values, styles, f"{hint} {number}") for number, values in enumerate(held, start=1)
    ]


def _values(text: str, hint: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    limits: dict[str, Any] = {}
    for part in _BETWEEN.split(text):
        key, equals, value = part.partition("=")
        if not equals:
            raise click.BadParameter(
                f"{part!r} is not KEY=VALUE; keys are {', '.join(_KEYS)}.", param_hint=hint
            )
        said = _from_file(value, hint)
        (limits if key in _LIMITS else values)[key] = _number(said) if key in _NUMBERS else said
    return {**values, "limits": limits} if limits else values


def _number(text: str) -> int | float | str:
    """Return the number that a text says; one that says none is left to be refused."""
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return text


def _valid(values: Any, styles: Styles, hint: str) -> Condition:
    try:
        return Condition.model_validate(values, context=styles)
    except ValidationError as error:
        found = findings(error, Condition)[0]
        # Limits stand beside the other keys at the shell, and a style is a flag of its own.
        left_out = ("limits", "style" if hint.startswith("--style") else "")
        where = ".".join(str(part) for part in found.path if part not in left_out)
        raise click.BadParameter(
            _finding(where, _message(found, styles)), param_hint=hint
        ) from None


def _message(found: Finding, styles: Styles) -> str:
    if found.kind == "extra_forbidden":
        return unknown_field(_KEYS)
    if "is not a known style" in found.message:
        # A text of its own, which the API also takes, is no business of the shell.
        return f"{found.given!r:.60} is not a known style; use {', '.join(styles.names())}."
    if found.kind == "model_type":
        return "is not a JSON object with the fields of a condition."
    return found.message


def new_run(**fields: Any) -> NewRun:
    """Return the request; fields that are ``None`` are left out.

    Raises
    ------
    click.UsageError
        If a field cannot be used.
    """
    given = {name: value for name, value in fields.items() if value is not None}
    try:
        return NewRun.model_validate(given)
    except ValidationError as error:
        found = findings(error, NewRun)[0]
        where = named(found.field) if found.path else ""
        raise click.UsageError(_finding(where, found.message)) from None


def _finding(where: str, message: str) -> str:
    return f"{where}: {message}" if where else message


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
