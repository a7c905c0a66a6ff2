"""What is declared of an endpoint: routes and the OpenAPI document are both made from it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel
from starlette.requests import Request
from starlette.types import ASGIApp

Handler = Callable[[Request], Awaitable[ASGIApp]]
"""Returns what answers: a response."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a handler answers with one status.

    Attributes
    ----------
    description
        What it means.
    model
        Of a JSON body.
    media_type
        Of a body that is none; without either, there is no body.
    example
        Of such a body.
    headers
        Name and description of headers that go with it.
    """

    description: str
    model: type[BaseModel] | None = None
    media_type: str | None = None
    example: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One method of one path.

    Attributes
    ----------
    name
        The operation's id, which generated clients name a function by.
    answers
        By HTTP status, beside those of ``problems``.
    problems
        Codes of problems that this endpoint may answer with, beside those that all may.
    parameters
        OpenAPI parameter objects of its query and headers; those of the path follow from it.
    body
        What a request sends.
    """

    method: str
    path: str
    name: str
    summary: str
    handler: Handler
    answers: Mapping[int, Answer]
    problems: tuple[str, ...] = ()
    parameters: tuple[Mapping[str, Any], ...] = ()
    body: type[BaseModel] | None = None
    body_required: bool = True
