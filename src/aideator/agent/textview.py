"""Show events to a person at a shell: the model's words as they come, a line per tool call."""

import json
from collections.abc import Mapping
from typing import Any

_MAX_COLUMN = 200
_MAX_BRIEF = 160


class TextView:
    """Renders one attempt's events as plain text.

    Viewers that work by line (``dagger call`` is one) show a line when it ends, so a long
    paragraph is broken at a space rather than held back.
    """

    def __init__(self) -> None:
        self._column = 0
        self._kind = ""

    def __call__(self, event: Mapping[str, Any]) -> str:
        """Return the text to print for ``event``, which may be empty."""
        kind = event["type"]
        if kind in ("text", "thinking"):
            return self._speech(kind, event["text"])
        line = _LINES.get(kind, _nothing)(event)
        if not line:
            return ""
        start = "\n" if self._column else ""
        self._column, self._kind = 0, kind
        return f"{start}{line}\n"

    def _speech(self, kind: str, text: str) -> str:
        out: list[str] = []
        if kind != self._kind:
            if self._column:
                out.append("\n")
            self._column, self._kind = 0, kind
            if kind == "thinking":
                text = f"(thinking) {text}"
        out.extend(self._wrapped(piece) for piece in text.splitlines(keepends=True))
        return "".join(out)

    def _wrapped(self, piece: str) -> str:
        if piece.endswith("\n"):
            # A paragraph that arrives whole is shown whole: its line ends by itself.
            self._column = 0
            return piece
        self._column += len(piece)
        if self._column <= _MAX_COLUMN:
            return piece
        head, space, tail = piece.rpartition(" ")
        if not space and self._column <= 2 * _MAX_COLUMN:
            return piece
        self._column = len(tail) if space else 0
        return f"{head}\n{tail}" if space else f"{piece}\n"


def _brief(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = " ".join(text.split())
    return text if len(text) <= _MAX_BRIEF else f"{text[: _MAX_BRIEF - 1]}…"


def _nothing(_: Mapping[str, Any]) -> str:
    return ""


def _status(event: Mapping[str, Any]) -> str:
    return f"[{event['state']}] {event['message']}".rstrip()


def _call(event: Mapping[str, Any]) -> str:
    return f"> {event['name']} {_brief(event['input'])}"


def _result(event: Mapping[str, Any]) -> str:
    return f"< {'error: ' if event['is_error'] else ''}{_brief(event['content'])}"


def _retry(event: Mapping[str, Any]) -> str:
    return f"[retry in {event['wait_seconds']:.1f} s] {event['code']}: {_brief(event['message'])}"


def _wait(event: Mapping[str, Any]) -> str:
    return f"[waits {event['seconds']:.1f} s] {event['message']}"


def _patch(event: Mapping[str, Any]) -> str:
    size = f"{event['bytes']} bytes, {event['files']} files"
    kept = ", withheld" if event["withheld"] else ""
    return f"[patch] {size}, +{event['insertions']} -{event['deletions']}{kept}"


def _ending(event: Mapping[str, Any]) -> str:
    cost = event["total"].get("cost_usd")
    spent = "cost unknown" if cost is None else f"{cost:.4f} USD"
    reason = event.get("stop_reason") or f"{event['code']}: {_brief(event['message'])}"
    seconds = f"{event['seconds']:.1f} s"
    return f"[{event['type']}] {reason} ({event['turns']} turns, {seconds}, {spent})"


_LINES = {
    "status": _status,
    "tool_call": _call,
    "tool_result": _result,
    "retry": _retry,
    "wait": _wait,
    "patch": _patch,
    "completed": _ending,
    "failed": _ending,
    "cancelled": _ending,
}
