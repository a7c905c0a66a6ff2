"""A run's events as they come, over as many connections as it takes."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
from httpx_sse import connect_sse

from aideator_gateway.command.api_error import reason, refused, senseless, unreachable

PATIENCE_SECONDS = 20.0
"""How long a gateway that has gone is waited for: enough to be started again."""

PAUSE_SECONDS = 0.2
"""Between the first tries to reach it; later ones are further apart."""

LONGEST_PAUSE_SECONDS = 2.0

_TIMEOUT = httpx.Timeout(30.0, read=60.0)

Event = tuple[str, dict[str, Any]]


class RunStream:
    """The events of one run, until its end.

    To iterate gives name and data of each. A connection that breaks is taken up again behind
    the last event, and so is an iteration that was left: nothing comes twice.

    Parameters
    ----------
    http
        Of the gateway.
    run_id
        Whose events.
    patience
        Seconds that the gateway may be away for.
    on_away
        Told why, and for how long it is waited for, once each time that it stays away.

    Raises
    ------
    ApiError
        While iterating: if the gateway refused, or stayed away for too long.
    """

    def __init__(
        self,
        http: httpx.Client,
        run_id: str,
        *,
        patience: float,
        on_away: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._http = http
        self._run_id = run_id
        self._patience = patience
        self._on_away = on_away
        self._last = ""
        self._ended = False
        self._failures = 0
        self._away_since = 0.0

    @property
    def away(self) -> bool:
        """Whether the gateway was not there when it was last tried."""
        return self._failures > 0

    def __iter__(self) -> Iterator[Event]:
        while not self._ended:
            try:
                yield from self._connected()
                why = "the stream ended too early"
            except httpx.TransportError as error:
                why = reason(error)
            if not self._ended:
                self._wait(why)

    def _connected(self) -> Iterator[Event]:
        headers = {"Last-Event-ID": self._last} if self._last else {}
        path = f"/runs/{self._run_id}/stream"
        with connect_sse(self._http, "GET", path, headers=headers, timeout=_TIMEOUT) as source:
            if source.response.status_code == 204:
                self._ended = True
                return
            if source.response.is_error:
                source.response.read()
                raise refused(source.response)
            for event in source.iter_sse():
                self._failures = 0
                if not event.data:
                    continue  # nothing but a field for the client itself
                data = self._parsed(event.data)
                # Before it is handed over: who is interrupted by it has had it.
                self._last = event.id
                self._ended = event.event == "end"
                yield event.event, data
                if self._ended:
                    return

    def _parsed(self, text: str) -> dict[str, Any]:
        try:
            data = json.loads(text)
        except ValueError:
            data = None
        if not isinstance(data, dict):
            raise senseless(str(self._http.base_url))
        return data

    def _wait(self, why: str) -> None:
        """Wait before the next try, or give up."""
        now = time.monotonic()
        self._failures += 1
        if self._failures == 1:
            self._away_since = now
        elif self._failures == 2:
            self._on_away(f"{why}; it is waited for {self._patience:g} s")
        left = self._away_since + self._patience - now
        if left <= 0:
            raise unreachable(str(self._http.base_url), why)
        time.sleep(min(PAUSE_SECONDS * self._failures, LONGEST_PAUSE_SECONDS, left))
