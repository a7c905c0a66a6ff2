"""A client that reads a stream beside what a test does."""

import json
import threading
import time
from types import TracebackType
from typing import Any, Self

import httpx

from tests.support.gateways import Gateway


class Reader:
    """Reads a run's stream in a thread of its own until it ends or breaks.

    Use as a context manager, which waits for it at the end.
    """

    def __init__(self, gateway: Gateway, run_id: str, last_event_id: str | None = None) -> None:
        self.events: list[tuple[str, str, dict[str, Any]]] = []
        """Id, name and data of what came."""
        self.broken: httpx.TransportError | None = None
        self._gateway = gateway
        self._run_id = run_id
        self._last_event_id = last_event_id
        self._thread = threading.Thread(target=self._read, daemon=True)

    def _read(self) -> None:
        try:
            for event in self._gateway.stream(self._run_id, self._last_event_id):
                self.events.append((event.id, event.event, json.loads(event.data)))
        except httpx.TransportError as error:
            self.broken = error

    def wait_for(self, count: int, seconds: float = 60.0) -> None:
        """Wait until so many events have come."""
        deadline = time.monotonic() + seconds
        while len(self.events) < count:
            assert self._thread.is_alive(), "the stream ended early"
            assert time.monotonic() < deadline
            time.sleep(0.02)

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return not self._thread.is_alive()

    def wait_ended(self, seconds: float = 60.0) -> None:
        """Wait until the stream has ended."""
        self._thread.join(seconds)
        assert not self._thread.is_alive(), "the stream goes on"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # After a failure there is nothing to wait for.
        if kind is None:
            self.wait_ended()
