"""From what was said at the shell to the body of ``POST /runs``."""

import contextlib
import json
import re
import sys
from pathlib import Path
from typing import Any, get_args

import click
from pydantic import TypeAdapter, ValidationError

from aideator.protocol import Condition, Styles, VariationLimits
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
_CONDITIONS: TypeAdapter[list[Condition]] = TypeAdapter(list[Condition])


def prompt_text(argument: str) -> str:
    """Return the prompt: the argument, ``-`` for standard input, ``@FILE`` for a file.

    Raises
    ------
    click.BadParameter
        If the file cannot be read as UTF-8 text.
    """
    if argument == "-":
        return sys.stdin.read()
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
    found: list[Condition] = []
    if file is not None:
        try:
            given_in_file = json.loads(file.read_text(encoding="utf-8"))
            found += _CONDITIONS.validate_python(given_in_file, context=styles)
        except ValidationError as error:
            raise click.BadParameter(first_finding(error), param_hint="--conditions") from None
        except (OSError, ValueError) as error:
            raise click.BadParameter(
                f"{file} is not a JSON list of conditions ({_reason(error)}).",
                param_hint="--conditions",
            ) from None
    found += [_condition(text, styles) for text in given]
    found += [_valid({"style": name}, styles, "--style") for name in style]
    return found or None


def _condition(text: str, styles: Styles) -> Condition:
    hint = "--condition"
    values: dict[str, Any] = {}
    limits: dict[str, Any] = {}
    for part in _BETWEEN.split(text):
        key, equals, value = part.partition("=")
        if not equals:
            raise click.BadParameter(
                f"{part!r} is not KEY=VALUE; keys are {', '.join(_KEYS)}.",
                param_hint=hint,
            )
        said = _from_file(value, hint)
        (limits if key in _LIMITS else values)[key] = _number(said) if key in _NUMBERS else said
    return _valid({**values, "limits": limits} if limits else values, styles, hint)


def _number(text: str) -> int | float | str:
    """Return the number that a text says; one that says none is left to be refused."""
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return text


def _valid(values: dict[str, Any], styles: Styles, hint: str) -> Condition:
    try:
        return Condition.model_validate(values, context=styles)
    except ValidationError as error:
        raise click.BadParameter(first_finding(error), param_hint=hint) from None


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
        raise click.UsageError(first_finding(error)) from None


def first_finding(error: ValidationError) -> str:
    """Return the first thing that is wrong, and where."""
    found = error.errors()[0]
    where = ".".join(str(part) for part in found["loc"])
    message = found["msg"].removeprefix("Value error, ")
    if found["type"] == "string_pattern_mismatch":
        message = "must not be blank"
    return f"{where}: {message}." if where else f"{message}."


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
