"""What a scripted reply looks like on the wire of the Messages API."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from aideator_gateway.scripted_model.player import Request
from aideator_gateway.scripted_model.script import (
    Block,
    Drop,
    EndBlock,
    EndWithoutStop,
    Hang,
    HttpError,
    Model,
    Ping,
    Raw,
    Reply,
    Step,
    Stop,
    StopLeaveOpen,
    StreamError,
    Text,
    Thinking,
    TokenCounts,
    ToolUse,
    Wait,
    complete,
    tokens,
)

Output = bytes | float | HttpError | Drop | Hang
"""Bytes of the body, seconds to wait, or what becomes of the connection."""

_STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "timeout_error": 504,
    "overloaded_error": 529,
}


def render(reply: Reply, request: Request) -> Iterator[Output]:
    """Turn a reply into what is sent, each piece made only when it is asked for.

    Text with ``stamp`` thus carries the time at which its delta is sent. When the iterator
    is exhausted, the response is ended as HTTP has it.

    Raises
    ------
    ValueError
        If the reply cannot be played.
    """
    message = _Message(complete(reply), request)
    return message.stream() if request.body.get("stream") else message.plain()


def error_body(kind: str, message: str, details: Mapping[str, Any] | None = None) -> bytes:
    """Return the JSON that the API answers with an error status."""
    error: dict[str, Any] = {"type": kind, "message": message}
    if details is not None:
        error["details"] = dict(details)
    return _json({"type": "error", "error": error, "request_id": "req_scripted"})


class _Message:
    """One message, streamed or whole."""

    def __init__(self, steps: Sequence[Step], request: Request) -> None:
        self._steps = steps
        self._turn = len(request.messages)
        self._model = str(request.body.get("model"))
        self._usage = TokenCounts(_value_tokens(request.body), sum(map(_step_tokens, steps)))
        for step in steps:
            if isinstance(step, TokenCounts):
                self._usage = step
            elif isinstance(step, Model):
                self._model = step.name
        self._started = False
        self._open = False
        self._blocks = 0

    def stream(self) -> Iterator[Output]:
        for step in self._steps:
            match step:
                case Text() | Thinking() | ToolUse() | Block():
                    yield self._start()
                    yield self._end_block()
                    yield from self._block(step)
                case EndBlock():
                    yield self._end_block()
                case Ping():
                    yield self._start() + _event({"type": "ping"})
                case Raw(data):
                    yield data
                case Stop() | StopLeaveOpen():
                    yield self._start() + self._end_block() + self._stop(step)
                    if isinstance(step, StopLeaveOpen):
                        yield Hang()
                case StreamError(kind, message):
                    # Just the event's data: the same object as the body of an HTTP error.
                    yield b"event: error\ndata: " + error_body(kind, message) + b"\n\n"
                case Wait(seconds):
                    yield seconds
                case HttpError() | Drop() | Hang():
                    yield step
                case EndWithoutStop() | TokenCounts() | Model():
                    pass

    def plain(self) -> Iterator[Output]:
        content: list[dict[str, Any]] = []
        for step in self._steps:
            match step:
                case Text() | Thinking() | ToolUse() | Block():
                    yield _pause(step)
                    content.append(self._whole(step, len(content)))
                case Stop(reason, details) | StopLeaveOpen(reason, details):
                    end = {"stop_reason": reason, "stop_details": details}
                    yield _json(self._envelope(content, self._usage) | end)
                    if isinstance(step, StopLeaveOpen):
                        yield Hang()
                case EndWithoutStop():
                    yield _json(self._envelope(content, self._usage))
                case StreamError(kind, text):
                    yield HttpError(_STATUS.get(kind, 500), kind, text)
                case Wait(seconds):
                    yield seconds
                case HttpError() | Drop() | Hang():
                    yield step
                case EndBlock() | Ping() | Raw() | TokenCounts() | Model():
                    pass

    def _whole(self, step: Text | Thinking | ToolUse | Block, index: int) -> dict[str, Any]:
        match step:
            case Text():
                return {"type": "text", "text": _joined(step)}
            case Thinking():
                signed = {"thinking": _joined(step), "signature": step.signature}
                return {"type": "thinking", **signed}
            case ToolUse():
                # A string is as near as a whole message comes to input that is no JSON.
                value = step.input if step.raw is None else step.raw
                return self._tool_use(step, index) | {"input": value}
            case Block(content):
                return dict(content)

    def _start(self) -> bytes:
        if self._started:
            return b""
        self._started = True
        usage = TokenCounts(
            self._usage.input_tokens,
            min(1, self._usage.output_tokens),
            self._usage.cache_creation_input_tokens,
            self._usage.cache_read_input_tokens,
        )
        return _event({"type": "message_start", "message": self._envelope([], usage)})

    def _block(self, step: Text | Thinking | ToolUse | Block) -> Iterator[Output]:
        index = self._blocks
        self._open = True
        self._blocks += 1
        last: list[dict[str, Any]] = []
        match step:
            case Block(content):
                first, kind, field, pieces = dict(content), "", "", []
            case ToolUse():
                first = self._tool_use(step, index)
                kind, field, pieces = "input_json_delta", "partial_json", _input(step)
            case Text():
                first = {"type": "text", "text": ""}
                kind, field, pieces = "text_delta", "text", _paced(step)
            case Thinking():
                first = {"type": "thinking", "thinking": "", "signature": ""}
                kind, field, pieces = "thinking_delta", "thinking", _paced(step)
                last = [{"type": "signature_delta", "signature": step.signature}]
        yield _event({"type": "content_block_start", "index": index, "content_block": first})
        for pause, piece in pieces:
            if pause:
                yield pause
            # Only now, after the wait, is the time of sending known.
            value = _stamped(piece) if isinstance(step, Text) and step.stamp else piece
            delta = {"type": kind, field: value}
            yield _event({"type": "content_block_delta", "index": index, "delta": delta})
        for delta in last:
            yield _event({"type": "content_block_delta", "index": index, "delta": delta})

    def _end_block(self) -> bytes:
        if not self._open:
            return b""
        self._open = False
        return _event({"type": "content_block_stop", "index": self._blocks - 1})

    def _stop(self, step: Stop | StopLeaveOpen) -> bytes:
        delta: dict[str, Any] = {"stop_reason": step.reason, "stop_sequence": None}
        if step.details is not None:
            delta["stop_details"] = dict(step.details)
        usage = vars(self._usage)
        return _event({"type": "message_delta", "delta": delta, "usage": usage}) + _event(
            {"type": "message_stop"}
        )

    def _tool_use(self, step: ToolUse, index: int) -> dict[str, Any]:
        name = step.id or f"toolu_scripted_{self._turn}_{index}"
        return {"type": "tool_use", "id": name, "name": step.name, "input": {}}

    def _envelope(self, content: list[dict[str, Any]], usage: TokenCounts) -> dict[str, Any]:
        return {
            "id": f"msg_scripted_{self._turn}",
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": content,
            "stop_reason": None,
            "stop_sequence": None,
            "usage": vars(usage),
        }


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _event(data: Mapping[str, Any]) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (str(data["type"]).encode(), _json(data))


def _paced(step: Text | Thinking) -> list[tuple[float, str]]:
    """Return each delta with the seconds to wait before it."""
    pieces = tokens(step.text) if isinstance(step.text, str) else list(step.text)
    if isinstance(step.pace, int | float):
        return [(step.pace if index else 0.0, piece) for index, piece in enumerate(pieces)]
    return list(zip(step.pace, pieces, strict=True))


def _pause(step: Text | Thinking | ToolUse | Block) -> float:
    """Return how long the whole block takes to stream, in seconds."""
    match step:
        case Text() | Thinking():
            return sum(pause for pause, _ in _paced(step))
        case ToolUse():
            return sum(pause for pause, _ in _input(step))
        case Block():
            return 0.0


def _joined(step: Text | Thinking) -> str:
    return step.text if isinstance(step.text, str) else "".join(step.text)


def _input(step: ToolUse) -> list[tuple[float, str]]:
    text = _json(step.input).decode() if step.raw is None else step.raw
    size = max(1, -(-len(text) // max(1, step.pieces)))
    return [(step.pace, text[at : at + size]) for at in range(0, len(text), size)]


def _stamped(piece: str) -> str:
    return f"t={time.time():.6f} {piece}"


def _step_tokens(step: Step) -> int:
    match step:
        case Text() | Thinking():
            return len(_joined(step).split())
        case ToolUse():
            return _value_tokens(step.input) if step.raw is None else len(step.raw.split())
        case _:
            return 0


def _value_tokens(value: object) -> int:
    """Count the words of all strings in a JSON value."""
    match value:
        case str():
            return len(value.split())
        case Mapping():
            return sum(map(_value_tokens, value.values()))
        case list():
            return sum(map(_value_tokens, value))
        case _:
            return 0
