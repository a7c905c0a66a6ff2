"""Errors for the person who calls a function: one line that names the argument and the remedy."""

from typing import TypeVar

import dagger

# The SDK prints a traceback for every exception but this one, and has no public name for it.
from dagger.mod._exceptions import FunctionError
from pydantic import BaseModel, ValidationError

from aideator.protocol import ErrorCode
from aideator.protocol.errors import engine_words
from aideator.protocol.findings import findings


def unusable(
    argument: str, problem: str, code: ErrorCode = ErrorCode.INVALID_REQUEST
) -> FunctionError:
    """Return the error for an argument that cannot be used.

    Parameters
    ----------
    argument
        The argument's name, as the caller wrote it.
    problem
        What is wrong with it, and what to do.
    code
        What programs tell it by; they get it as ``extensions["extra.code"]``.
    """
    line = f"{argument}: {' '.join(problem.split())}"
    return FunctionError(line, extra={"code": code.value})


MAX_ENGINE_MESSAGE = 600

Model = TypeVar("Model", bound=BaseModel)


def validated(kind: type[Model], /, **values: object) -> Model:
    """Return a ``kind`` made of ``values``.

    Raises
    ------
    FunctionError
        A value is out of its bounds; the text names the argument and the bound.
    """
    try:
        return kind(**values)
    except ValidationError as error:
        raise _invalid(error, kind, "") from None


def parsed(kind: type[Model], argument: str, text: str) -> Model:
    """Return the ``kind`` that an argument gives as JSON.

    Raises
    ------
    FunctionError
        It is not that; the text names the field and the bound.
    """
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        raise _invalid(error, kind, argument) from None


def _invalid(error: ValidationError, kind: type[BaseModel], argument: str) -> FunctionError:
    first = findings(error, kind)[0]
    name = ".".join(part for part in (argument, first.field) if part)
    return unusable(name, f"{first.message} It was {first.given!r:.80}.")


def engine_message(error: dagger.QueryError) -> str:
    """Return the engine's words, of a command that failed with what it said."""
    text = engine_words(str(error))
    if isinstance(error, dagger.ExecError):
        text = f"{text}: {error.stderr.strip() or error.stdout.strip()}"
    # The end of it is where the cause is.
    return text if len(text) <= MAX_ENGINE_MESSAGE else f"… {text[-MAX_ENGINE_MESSAGE:]}"
