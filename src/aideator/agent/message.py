"""Put one streamed response together. Cost is linear in its size: parts are joined once."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aideator.protocol.events import Usage

MAX_MESSAGE_CHARS = 8 * 1024 * 1024
"""Longest response that is taken, in characters of all its blocks together."""

_MAX_DEPTH = 20

Emit = Callable[[str, dict[str, object]], None]
"""Takes each piece as it arrives: an event's type and fields."""


class BrokenStreamError(Exception):
    """The stream does not add up to a message."""


@dataclass(frozen=True)
class ToolCall:
    """What the model wants to be done."""

    id: str
    name: str
    input: dict[str, Any]
    problem: str = ""
    """Why it must not be done, as text for the model; empty if it may."""


@dataclass(frozen=True)
class Message:
    """A whole response."""

    content: list[dict[str, Any]]
    """Its blocks as they go back into the conversation; may be empty."""
    text: str
    tool_calls: list[ToolCall]
    stop_reason: str
    stop_details: str
    number: int
    """Which try of its turn it is."""


@dataclass
class _Block:
    kind: str
    start: Mapping[str, Any]
    parts: list[str] = field(default_factory=list)
    signature: list[str] = field(default_factory=list)
    done: bool = False

    def joined(self, name: str) -> str:
        return _clean("".join([self.start.get(name) or "", *self.parts]))


_KNOWN_BLOCKS = ("text", "thinking", "redacted_thinking", "tool_use")
_DELTAS = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}


class MessageBuilder:
    """Takes the events of one streaming response, in order.

    Parameters
    ----------
    emit
        Called with every piece of text and thinking, every whole tool call, and a notice of
        what is not known.
    """

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._blocks: dict[int, _Block] = {}
        self._usage: dict[str, int] = {}
        self._size = 0
        self._noted: set[str] = set()
        self._stop_reason = ""
        self._stop_details = ""
        self.model = ""
        """The model that answered, as the server names it."""

    @property
    def usage(self) -> Usage:
        """Tokens as far as the server has counted them."""
        count = self._usage.get
        return Usage(
            input_tokens=count("input_tokens", 0),
            output_tokens=count("output_tokens", 0),
            cache_write_tokens=count("cache_creation_input_tokens", 0),
            cache_read_tokens=count("cache_read_input_tokens", 0),
        )

    def take(self, event: Mapping[str, Any]) -> bool:
        """Take one event; return whether the message is whole.

        Raises
        ------
        BrokenStreamError
            The event does not fit, or the message grows too long.
        """
        try:
            return self._take(event)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise BrokenStreamError(f"an event of the stream is malformed ({error})") from error

    def _take(self, event: Mapping[str, Any]) -> bool:
        match event["type"]:
            case "message_start":
                self.model = str(event["message"].get("model") or "")
                self._count(event["message"].get("usage"))
            case "content_block_start":
                self._start(event["index"], event["content_block"])
            case "content_block_delta":
                self._grow(self._blocks[event["index"]], event["delta"])
            case "content_block_stop":
                self._stop(self._blocks[event["index"]])
            case "message_delta":
                self._count(event.get("usage"))
                self._stop_reason = event["delta"].get("stop_reason") or self._stop_reason
                details = event["delta"].get("stop_details") or {}
                self._stop_details = details.get("explanation") or self._stop_details
            case "message_stop":
                return True
            case other:
                self._note(f"Ignored an event of the unknown type {other!r}.")
        return False

    def message(self, number: int) -> Message:
        """Return the whole message; only once ``take`` has said that it is."""
        cut = self._stop_reason in ("max_tokens", "model_context_window_exceeded")
        content: list[dict[str, Any]] = []
        calls: list[ToolCall] = []
        blocks = list(self._blocks.values())
        for block in blocks:
            self._stop(block)
            if block.kind == "tool_use":
                call = _call(block, number=len(calls), cut=cut and block is blocks[-1])
                calls.append(call)
                content.append(
                    {"type": "tool_use", "id": call.id, "name": call.name, "input": call.input}
                )
            elif sent := _sent_back(block):
                content.append(sent)
        text = "".join(block.joined("text") for block in blocks if block.kind == "text")
        return Message(content, text, calls, self._stop_reason, self._stop_details, number)

    def _start(self, index: int, start: Mapping[str, Any]) -> None:
        kind = start["type"]
        block = self._blocks[index] = _Block(kind, start)
        if kind not in _KNOWN_BLOCKS:
            self._note(f"Ignored a block of the unknown type {kind!r}.")
        elif kind in ("text", "thinking") and (first := start.get(kind)):
            self._emit(kind, {"text": first})
        self._grown(block, 0)

    def _grow(self, block: _Block, delta: Mapping[str, Any]) -> None:
        kind = delta["type"]
        if kind == "signature_delta":
            block.signature.append(delta["signature"])
        elif kind in _DELTAS:
            piece = delta[_DELTAS[kind]]
            block.parts.append(piece)
            self._grown(block, len(piece))
            if piece and kind != "input_json_delta":
                self._emit(block.kind, {"text": piece})
        elif block.kind in _KNOWN_BLOCKS:
            self._note(f"Ignored a delta of the unknown type {kind!r}.")

    def _grown(self, block: _Block, size: int) -> None:
        self._size += size
        if self._size > MAX_MESSAGE_CHARS:
            raise BrokenStreamError(
                f"the response is longer than {MAX_MESSAGE_CHARS} characters ({block.kind})"
            )

    def _stop(self, block: _Block) -> None:
        if block.done:
            return
        block.done = True
        if block.kind == "tool_use":
            number = sum(b.kind == "tool_use" and b.done for b in self._blocks.values()) - 1
            call = _call(block, number=number, cut=False)
            shown = "".join(block.parts) if call.problem else call.input
            self._emit("tool_call", {"id": call.id, "name": call.name, "input": shown})

    def _count(self, usage: Mapping[str, Any] | None) -> None:
        # Counts are cumulative; a later one replaces an earlier one.
        for name, count in (usage or {}).items():
            if isinstance(count, int):
                self._usage[name] = count

    def _note(self, text: str) -> None:
        if text not in self._noted:
            self._noted.add(text)
            self._emit("status", {"state": "notice", "message": text})


def _sent_back(block: _Block) -> dict[str, Any] | None:
    match block.kind:
        case "text" if block.joined("text").strip():
            return {"type": "text", "text": block.joined("text")}
        case "thinking":
            signature = "".join([block.start.get("signature") or "", *block.signature])
            # Thinking that was cut off has no signature, and the server takes none without.
            thinking = "".join([block.start.get("thinking") or "", *block.parts])
            sent = {"type": "thinking", "thinking": thinking, "signature": signature}
            return sent if signature else None
        case "redacted_thinking":
            return {"type": "redacted_thinking", "data": block.start.get("data", "")}
        case _:
            # Empty text is refused by the server; unknown blocks are not ours to send.
            return None


def _call(block: _Block, *, number: int, cut: bool) -> ToolCall:
    name = str(block.start.get("name") or "")
    identity = str(block.start.get("id") or f"call_{number}")
    raw = "".join(block.parts)
    given: Any = block.start.get("input") or {}
    problem = ""
    if raw:
        given, problem = _parsed(raw)
    if cut:
        problem = (
            "The call was cut off because the response reached its length limit; it was not"
            " executed. Make the change in several smaller calls."
        )
    return ToolCall(identity, name, given if isinstance(given, dict) else {}, problem)


def _parsed(raw: str) -> tuple[Any, str]:
    try:
        given = json.loads(raw, parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        return {}, f"The input is not valid JSON ({error}); the call was not executed. Repeat it."
    if not isinstance(given, dict):
        return {}, "The input is not a JSON object; the call was not executed. Repeat it."
    if _deeper(given, _MAX_DEPTH):
        return {}, "The input is nested too deeply; the call was not executed."
    return _cleaned(given), ""


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is too large a number")
    return number


def _deeper(value: Any, left: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    items = value.values() if isinstance(value, dict) else value
    return left == 0 or any(_deeper(item, left - 1) for item in items)


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return _clean(value)
    if isinstance(value, dict):
        return {_clean(key): _cleaned(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_cleaned(item) for item in value]
    return value


def _clean(text: str) -> str:
    # JSON can spell one character as two surrogates in two pieces, or half of one.
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
