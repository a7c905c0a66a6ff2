"""What an agent says: one JSON object a line, from the sandbox to whoever listens.

Every line carries the envelope (``aideator``, ``run``, ``variation``, ``attempt``, ``seq``,
``time``) and a ``type``. ``seq`` counts from 1 without gaps within one attempt, so a
reader can drop what it has seen and knows what it lacks. Readers must ignore fields and
skip types that they do not know.
"""

import base64
import builtins
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from aideator.protocol.errors import ErrorCode
from aideator.protocol.outcomes import Status, StopReason

VERSION: Literal[1] = 1

MAX_LINE_BYTES = 32 * 1024 * 1024
"""Longest line a reader has to take, in bytes; the agent keeps every line below it."""

MAX_PATCH_BYTES = 16 * 1024 * 1024
"""Longest patch that is carried, in bytes, before base64; a longer one is only counted."""


_BASE64 = "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"


class Usage(BaseModel):
    """Tokens as the model's server counted them, and what they cost."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    input_tokens: int = 0
    output_tokens: int = 0
    cache_write_tokens: int = 0
    cache_read_tokens: int = 0
    cost_usd: float | None = None
    """US dollars, or ``None`` where the model's price is not known."""

    @property
    def tokens(self) -> int:
        """All tokens together, as ``max_tokens`` counts them."""
        return (
            self.input_tokens
            + self.output_tokens
            + self.cache_write_tokens
            + self.cache_read_tokens
        )


class Event(BaseModel):
    """The envelope that every line has."""

    model_config = ConfigDict(
        frozen=True,
        extra="allow",
        # They are no JSON, and what an event says goes on to readers as JSON.
        allow_inf_nan=False,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
    )

    aideator: Literal[1] = VERSION
    run: str
    variation: int = Field(ge=1)
    attempt: int = Field(default=1, ge=1)
    seq: int = Field(ge=1)
    time: float
    """Seconds since the epoch, by the sandbox's clock."""


class _OfTurn(Event):
    """Something said or done in one turn; ``try`` tells repeats of a request apart."""

    turn: int = Field(ge=1)
    try_: int = Field(alias="try", default=1, ge=1)


class StatusEvent(Event):
    """Where the attempt stands, in words for a person."""

    type: Literal["status"]
    state: str
    """A stable word: ``starting``, ``working``, ``notice``, ``left_out``; a gateway's own is
    ``truncated``."""
    message: str = ""
    paths: list[str] = []
    """With ``left_out``: files that tools wrote and that the patch does not have."""


class TextEvent(_OfTurn):
    """A piece of the model's text, as it arrived."""

    type: Literal["text"]
    text: str


class ThinkingEvent(_OfTurn):
    """A piece of the model's thinking, as it arrived."""

    type: Literal["thinking"]
    text: str


class ToolCallEvent(_OfTurn):
    """The model wants a tool to be run."""

    type: Literal["tool_call"]
    id: str
    name: str
    input: Any
    """The tool's arguments, an object; a string if they were not valid JSON."""


class ToolResultEvent(_OfTurn):
    """What a tool answered, to the letter as the model gets it."""

    type: Literal["tool_result"]
    id: str
    name: str
    is_error: bool = False
    content: str


class UsageEvent(_OfTurn):
    """Tokens of one turn, and of the attempt so far."""

    type: Literal["usage"]
    usage: Usage
    total: Usage


class RetryEvent(_OfTurn):
    """A request failed in passing and is repeated; what ``try`` said is superseded."""

    type: Literal["retry"]
    code: ErrorCode
    message: str
    wait_seconds: float


class WaitEvent(_OfTurn):
    """A request has its turn later, or had. It has not failed, and what was said stays."""

    type: Literal["wait"]
    cause: str
    """A stable word: ``rate_limited``, ``overloaded``, ``busy``, ``pacing``."""
    seconds: float
    message: str
    """Why, in words."""


class PatchEvent(Event):
    """The whole result as a diff against the base commit, once, before the end."""

    type: Literal["patch"]
    diff: Annotated[str, Field(pattern=_BASE64)] = ""
    """Base64 of a diff that ``git apply`` takes; empty if nothing changed, or if it is
    ``truncated`` or ``withheld``."""
    bytes: int = 0
    files: int = 0
    insertions: int = 0
    deletions: int = 0
    truncated: bool = False
    """The patch is longer than ``MAX_PATCH_BYTES`` and is not carried."""
    withheld: bool = False
    """The patch holds the API key and is not carried."""

    def content(self) -> builtins.bytes:
        """Return the diff's bytes."""
        return base64.b64decode(self.diff)


class _Ended(Event):
    total: Usage = Usage()
    turns: int = 0
    seconds: float = 0.0
    """Wall time of the attempt."""
    status: Status


class CompletedEvent(_Ended):
    """The attempt ended as it should, or at one of its limits."""

    type: Literal["completed"]
    status: Status = Status.COMPLETED
    stop_reason: StopReason
    summary: str = ""
    """The model's last words."""


class FailedEvent(_Ended):
    """The attempt could not go on."""

    type: Literal["failed"]
    status: Status = Status.FAILED
    code: ErrorCode
    message: str


class CancelledEvent(_Ended):
    """The attempt was told to stop."""

    type: Literal["cancelled"]
    status: Status = Status.CANCELLED
    code: ErrorCode = ErrorCode.CANCELLED
    message: str = "Cancelled."


class InterruptedEvent(_Ended):
    """The gateway that followed the attempt ended first; written by that one, or by another."""

    type: Literal["interrupted"]
    status: Status = Status.INTERRUPTED
    code: ErrorCode = ErrorCode.INTERRUPTED
    message: str = "The gateway stopped before this attempt ended."


EndEvent = CompletedEvent | FailedEvent | CancelledEvent | InterruptedEvent

AnyEvent = Annotated[
    StatusEvent
    | TextEvent
    | ThinkingEvent
    | ToolCallEvent
    | ToolResultEvent
    | UsageEvent
    | RetryEvent
    | WaitEvent
    | PatchEvent
    | CompletedEvent
    | FailedEvent
    | CancelledEvent
    | InterruptedEvent,
    Field(discriminator="type"),
]

_adapter: TypeAdapter[AnyEvent] = TypeAdapter(AnyEvent)


def parse_line(line: bytes | str) -> AnyEvent | None:
    """Read one line of an agent's output.

    Returns
    -------
    The event, or ``None`` for everything else that a process may print: lines that are no
    JSON, have no envelope of this version, or a type that is not known here.
    """
    try:
        return _adapter.validate_json(line)
    except ValidationError:
        return None
