"""What clients of a stream see of a run's log: five events, as models and as bytes.

``message``, ``completion`` and ``error`` have the names and fields of the first API draft;
everything beyond them is additive. A frame is made once, before it is stored, and kept as it
is: every reader gets the same bytes, whenever it reads. Its id comes with its place in the log.
"""

import json
from json.encoder import encode_basestring as _quoted
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from aideator.protocol import (
    AnyEvent,
    CompletedEvent,
    EndEvent,
    ErrorCode,
    PatchEvent,
    RetryEvent,
    Status,
    StatusEvent,
    StopReason,
    TextEvent,
    ThinkingEvent,
    ToolCallEvent,
    ToolResultEvent,
    Usage,
    UsageEvent,
    WaitEvent,
)
from aideator_gateway.runs.model import CheckResult, PatchStat

MAX_CONTENT = 256 * 1024
"""Most characters of one event's content in a stream; the transcript has all of it."""

MessageType = Literal[
    "agent_output",
    "thinking",
    "tool_call",
    "tool_result",
    "usage",
    "retry",
    "wait",
    "patch",
    "status",
]


class Message(BaseModel):
    """Something a variation said or did. Fields that its type does not have are left out."""

    # The title names the class that openapi-python-client makes; one named as its field is
    # no valid program.
    model_config = ConfigDict(serialize_by_alias=True, validate_by_name=True, title="StreamMessage")

    variation_id: int
    type: MessageType
    content: str | None = Field(
        default=None,
        description="Text of agent_output, thinking, tool_result and status.",
    )
    truncated: bool | None = Field(
        default=None, description="The content was cut; the transcript has all of it."
    )
    turn: int | None = Field(default=None, description="Turn of the conversation, from 1.")
    try_: int | None = Field(
        default=None,
        alias="try",
        description="Repeat of the turn's request; a retry supersedes what lower tries said.",
    )
    state: str | None = Field(default=None, description="status: a stable word.")
    id: str | None = Field(
        default=None, description="tool_call, tool_result: what belongs together."
    )
    name: str | None = Field(default=None, description="tool_call, tool_result: the tool.")
    input: Any = Field(default=None, description="tool_call: its arguments.")
    is_error: bool | None = Field(default=None, description="tool_result: the tool refused.")
    usage: Usage | None = Field(default=None, description="usage: of this turn.")
    total: Usage | None = Field(default=None, description="usage: of the attempt so far.")
    code: ErrorCode | None = Field(default=None, description="retry: why.")
    message: str | None = Field(default=None, description="retry, wait: why, in words.")
    cause: str | None = Field(
        default=None, description="wait: a stable word; rate_limited, overloaded, busy or pacing."
    )
    wait_seconds: float | None = Field(default=None, description="retry: pause before it.")
    seconds: float | None = Field(
        default=None, description="wait: how long; the request has not failed."
    )
    patch: PatchStat | None = Field(
        default=None, description="patch: its size; it can be read now."
    )
    attempt: int
    time: float = Field(description="Seconds since the epoch, by the sandbox's clock.")


class _Ended(BaseModel):
    variation_id: int
    status: Status
    turns: int
    seconds: float
    usage: Usage
    attempt: int
    time: float


class Completion(_Ended):
    """A variation completed; it can be selected."""

    stop_reason: StopReason
    summary: str


class Failure(_Ended):
    """A variation ended without completing: failed, cancelled or interrupted."""

    code: ErrorCode
    message: str
    remedy: str = Field(description="What a person can do about it.")


class Checked(CheckResult):
    """The run's check of one variation has ended, or will not be run any more."""

    variation_id: int
    exit_code: int | None = Field(
        default=None, description="Left out if it was stopped or could not be run."
    )
    time: float = Field(description="Seconds since the epoch, by the gateway's clock.")


class End(BaseModel):
    """All variations have ended, and the stream with them."""

    status: Status
    code: ErrorCode | None = None
    message: str | None = None


STREAM_EVENTS: dict[str, type[BaseModel]] = {
    "message": Message,
    "completion": Completion,
    "error": Failure,
    "check": Checked,
    "end": End,
}
"""Names of the stream's events, and what their data is."""


def describe(event: AnyEvent) -> tuple[str, BaseModel]:
    """Return the name and data under which clients see an event of a variation."""
    name, data = _described(event)
    return name, STREAM_EVENTS[name].model_validate(data)


def frame(event: AnyEvent) -> bytes:
    """Return what clients see of an event of a variation, without its id."""
    if isinstance(event, TextEvent) and len(event.text) <= MAX_CONTENT:
        # Most events are one token: this is what ``_frame`` makes of them, three times as fast.
        return (
            f'event: message\ndata: {{"variation_id": {event.variation}, "type": "agent_output", '
            f'"content": {_quoted(event.text)}, "turn": {event.turn}, "try": {event.try_}, '
            f'"attempt": {event.attempt}, "time": {event.time!r}}}\n\n'
        ).encode()
    return _frame(*_described(event))


def check_frame(variation_id: int, found: dict[str, Any], now: float) -> bytes:
    """Return what clients see of a check's result."""
    return _frame("check", {**_present(found), "variation_id": variation_id, "time": now})


def end_frame(status: Status, code: ErrorCode | None = None, message: str | None = None) -> bytes:
    """Return what clients see of a run's end."""
    return _frame("end", _present({"status": status, "code": code, "message": message}))


def read_end(numbered: bytes) -> dict[str, Any]:
    """Return the data of a run's end, from its numbered frame."""
    data: dict[str, Any] = json.loads(numbered.partition(b"\ndata: ")[2])
    return data


def numbered(position: int, frame: bytes) -> bytes:
    """Return a frame with its id: its place in the run's log, from 1."""
    return b"id: %d\n%b" % (position, frame)


def newest_time(frames: bytes) -> float | None:
    """Return when what the last of these frames tells was said, ``None`` if it does not say.

    In seconds since 1970, by the clock of whoever said it.
    """
    # A quote in what somebody says has a backslash before it.
    _, found, rest = frames.rpartition(b'"time": ')
    end = rest.find(b"}")
    try:
        return float(rest[:end]) if found else None
    except ValueError:
        return None


def behind(frames: bytes, position: int) -> bytes:
    """Return those of the numbered ``frames`` that come behind a position which is among them."""
    # JSON has no newline of its own, so what looks like the start of a frame is one.
    return frames[frames.index(b"\n\nid: %d\n" % (position + 1)) + 2 :]


_json = json.JSONEncoder(ensure_ascii=False).encode


def _frame(name: str, data: dict[str, Any]) -> bytes:
    return f"event: {name}\ndata: {_json(data)}\n\n".encode()


def _present(data: dict[str, Any]) -> dict[str, Any]:
    """Leave out what there is not; inside of it, an unknown cost stays null."""
    return {name: value for name, value in data.items() if value is not None}


def _described(event: AnyEvent) -> tuple[str, dict[str, Any]]:
    if isinstance(event, EndEvent):
        ended = {
            "variation_id": event.variation,
            "status": event.status,
            "turns": event.turns,
            "seconds": event.seconds,
            "usage": event.total.model_dump(),
            "attempt": event.attempt,
            "time": event.time,
        }
        if isinstance(event, CompletedEvent):
            return "completion", {
                **ended,
                "stop_reason": event.stop_reason,
                "summary": _short(event.summary),
            }
        return "error", {
            **ended,
            "code": event.code,
            "message": _short(event.message),
            "remedy": event.code.remedy,
        }
    data: dict[str, Any] = {"variation_id": event.variation, **_body(event)}
    if not isinstance(event, StatusEvent | PatchEvent):
        data |= {"turn": event.turn, "try": event.try_}
    data |= {"attempt": event.attempt, "time": event.time}
    return "message", data


def _body(event: AnyEvent) -> dict[str, Any]:
    match event:
        case TextEvent():
            return {"type": "agent_output", **_cut(event.text)}
        case ThinkingEvent():
            return {"type": "thinking", **_cut(event.text)}
        case StatusEvent():
            return {"type": "status", "state": _short(event.state), **_cut(event.message)}
        case ToolCallEvent():
            body = {"type": "tool_call", "id": _short(event.id), "name": _short(event.name)}
            if len(json.dumps(event.input)) <= MAX_CONTENT:
                return {**body, "input": event.input}
            return {**body, "truncated": True}
        case ToolResultEvent():
            body = {"type": "tool_result", "id": _short(event.id), "name": _short(event.name)}
            return {**body, "is_error": event.is_error, **_cut(event.content)}
        case UsageEvent():
            return {
                "type": "usage",
                "usage": event.usage.model_dump(),
                "total": event.total.model_dump(),
            }
        case RetryEvent():
            return {
                "type": "retry",
                "code": event.code,
                "message": _short(event.message),
                "wait_seconds": event.wait_seconds,
            }
        case WaitEvent():
            return {
                "type": "wait",
                "cause": _short(event.cause),
                "message": _short(event.message),
                "seconds": event.seconds,
            }
        case PatchEvent():
            return {
                "type": "patch",
                "patch": {name: getattr(event, name) for name in PatchStat.model_fields},
            }
    raise AssertionError(f"{event.type} is the end of a variation")


def _cut(text: str) -> dict[str, Any]:
    if len(text) <= MAX_CONTENT:
        return {"content": text}
    return {"content": text[:MAX_CONTENT], "truncated": True}


def _short(text: str) -> str:
    return text[:MAX_CONTENT]
