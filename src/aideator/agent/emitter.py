"""Write events: each at once, in order, to whoever listens and to the transcript.

Standard library only: the first line goes out before anything heavy is imported.
"""

import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

MAX_LINE_BYTES = 32 * 1024 * 1024
"""Kept equal to the protocol's own constant by a test; importing that would cost time here."""

_MAX_CUT_FIELD = 1024 * 1024

View = Callable[[Mapping[str, Any]], str]
"""Turns an event into what a person reads; an empty string shows nothing."""


class Emitter:
    """Writes the events of one attempt.

    Parameters
    ----------
    run, variation, attempt
        The envelope's ids.
    output
        Directory for ``transcript.jsonl``; ``None`` keeps none.
    view
        How ``stdout`` shows events; ``None`` prints the JSON lines themselves.
    stdout
        File descriptor of whoever listens.
    """

    def __init__(
        self,
        *,
        run: str,
        variation: int,
        attempt: int,
        output: Path | None,
        view: View | None = None,
        stdout: int = 1,
    ) -> None:
        self._envelope = {"aideator": 1, "run": run, "variation": variation, "attempt": attempt}
        self._view = view
        self.hide: Callable[[str], str] = str
        """Takes secrets out of a text; set once there is something to say that may hold one."""
        self._seq = 0
        self.last: dict[str, Any] = {}
        """The last event written."""
        self._stdout: int | None = stdout
        self._transcript: int | None = None
        if output is not None:
            self._transcript = os.open(
                output / "transcript.jsonl",
                os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC,
                0o644,
            )

    def emit(self, type_: str, **fields: object) -> None:
        """Write one event, with secrets taken out of every text but a patch.

        A patch is encoded, and would no longer be one; it has been looked through before.

        Raises
        ------
        OSError
            The transcript cannot be written (a full disk, say). The event has gone to
            stdout by then, and later events go to stdout alone.
        """
        self._seq += 1
        if type_ != "patch":
            fields = {name: self._hidden(value) for name, value in fields.items()}
        event = {
            **self._envelope,
            "seq": self._seq,
            "time": round(time.time(), 6),
            "type": type_,
            **fields,
        }
        line = _encode(event)
        if len(line) > MAX_LINE_BYTES:
            event |= {name: _cut(value) for name, value in fields.items()}
            line = _encode(event)
        self.last = event
        self._print(line if self._view is None else self._view(event).encode("utf-8", "replace"))
        if self._transcript is not None:
            try:
                _write(self._transcript, line)
            except OSError:
                self.close()
                raise

    def status(self, state: str, message: str = "", **fields: object) -> None:
        """Write a ``status`` event; ``state`` is one of the protocol's words."""
        self.emit("status", state=state, message=message, **fields)

    def close(self) -> None:
        """Close the transcript."""
        if self._transcript is not None:
            os.close(self._transcript)
            self._transcript = None

    def _print(self, data: bytes) -> None:
        if self._stdout is None or not data:
            return
        try:
            _write(self._stdout, data)
        except OSError:
            # Nobody listens any more; the transcript still does.
            self._stdout = None

    def _hidden(self, value: object) -> Any:
        if isinstance(value, str):
            return self.hide(value)
        if isinstance(value, dict):
            return {self._hidden(key): self._hidden(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._hidden(item) for item in value]
        return value


def _encode(event: Mapping[str, Any]) -> bytes:
    # A lone surrogate has no UTF-8 form and must not end the attempt.
    text = _json(event, ensure_ascii=False).encode("utf-8", "replace")
    # Output travels in pieces, and a Dagger engine loses one that ends inside a character.
    return (text if text.isascii() else _json(json.loads(text)).encode()) + b"\n"


def _json(event: Mapping[str, Any], *, ensure_ascii: bool = True) -> str:
    return json.dumps(event, ensure_ascii=ensure_ascii, separators=(",", ":"), allow_nan=False)


def _cut(value: object) -> object:
    if not isinstance(value, str | dict | list):
        return value
    text = value if isinstance(value, str) else json.dumps(value)
    if len(text) <= _MAX_CUT_FIELD:
        return value
    return f"{text[:_MAX_CUT_FIELD]}… [cut: {len(text)} characters are too many for one event]"


def _write(descriptor: int, data: bytes) -> None:
    # os.write goes past Python's buffers, so nothing can be left behind in one.
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
