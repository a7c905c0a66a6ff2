"""Lines of JSON from and to whoever started the broker. Neither holds up its event loop."""

import asyncio
import contextlib
import json
import queue
import sys
import threading
from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from aideator.protocol.broker import Control

MAX_LINE_BYTES = 16 * 1024 * 1024

Say = Callable[[dict[str, Any]], None]


def speaker() -> Say:
    """Return what writes lines to stdout, and never waits for who reads them."""
    lines: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()

    def write() -> None:
        with contextlib.suppress(OSError, ValueError):  # Nobody reads any more.
            while True:
                sys.stdout.write(json.dumps(lines.get()) + "\n")
                sys.stdout.flush()

    threading.Thread(target=write, daemon=True).start()
    return lines.put


def listen_to_stdin(take: Callable[[Control], None], ended: Callable[[], None], say: Say) -> None:
    """Hand each message on stdin to the running event loop, and the end of them."""
    loop = asyncio.get_running_loop()

    def read() -> None:
        with contextlib.suppress(RuntimeError):  # The loop is closed: the broker ends.
            while line := sys.stdin.buffer.readline(MAX_LINE_BYTES):
                try:
                    message = Control.model_validate_json(line)
                except ValidationError:
                    say({"error": "a line of the input is no message"})
                else:
                    loop.call_soon_threadsafe(take, message)
            loop.call_soon_threadsafe(ended)

    threading.Thread(target=read, daemon=True).start()
