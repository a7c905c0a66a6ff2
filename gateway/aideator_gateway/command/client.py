"""A small client of the HTTP API, for the command: what any other client would write."""

from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from aideator_gateway.command.api_error import reason, refused, senseless, unreachable
from aideator_gateway.command.datadir import Address
from aideator_gateway.command.stream import PATIENCE_SECONDS, RunStream
from aideator_gateway.http.bodies import RunCreated, RunList
from aideator_gateway.runs.model import NewRun, Readiness, Run

M = TypeVar("M", bound=BaseModel)

PAGE = 100
"""Runs asked for at a time."""


class Client:
    """Calls one gateway.

    Parameters
    ----------
    address
        Where it listens, and its token.
    patience
        Seconds that a stream waits for a gateway that has gone.
    """

    def __init__(self, address: Address, *, patience: float = PATIENCE_SECONDS) -> None:
        self._url = address.url
        self._patience = patience
        headers = {"Authorization": f"Bearer {address.token}"} if address.token else {}
        self._http = httpx.Client(
            base_url=address.url,
            headers=headers,
            timeout=httpx.Timeout(30.0),
            # A proxy of the environment must not come between this and a loopback server.
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._http.close()

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        **query: Any,
    ) -> httpx.Response:
        """Call an endpoint.

        Raises
        ------
        ApiError
            If it refuses, or nobody answers.
        """
        response = self._send(method, path, body, query, headers)
        if response.is_error:
            raise refused(response)
        return response

    def _send(
        self,
        method: str,
        path: str,
        body: Any,
        query: dict[str, Any],
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        try:
            return self._http.request(
                method,
                path,
                params=query,
                json={} if body is None and method == "POST" else body,
                headers=headers,
            )
        except httpx.TransportError as error:
            raise unreachable(self._url, reason(error)) from None

    def create(self, request: NewRun, key: str | None = None) -> str:
        """Start a run and return its id; under the same ``key`` it is the same run."""
        body = request.model_dump(mode="json", exclude_unset=True)
        headers = {"Idempotency-Key": key} if key else None
        return read_answer(RunCreated, self.call("POST", "/runs", body, headers)).run_id

    def run(self, run_id: str) -> Run:
        """Return a run."""
        return read_answer(Run, self.call("GET", f"/runs/{run_id}"))

    def runs(self, limit: int | None = None) -> list[Run]:
        """Return the newest runs, or all of them."""
        found: list[Run] = []
        for page in self.pages(PAGE if limit is None else min(PAGE, limit)):
            found += page
            if limit is not None and len(found) >= limit:
                break
        return found[:limit]

    def pages(self, size: int = PAGE) -> Iterator[list[Run]]:
        """Give all runs, newest first, so many at a time."""
        query: dict[str, Any] = {"limit": size}
        while True:
            page = read_answer(RunList, self.call("GET", "/runs", **query))
            yield page.runs
            if page.next is None:
                return
            query["cursor"] = page.next

    def readiness(self) -> Readiness:
        """Return whether a run could start now, and where."""
        response = self._send("GET", "/readyz", None, {})
        if response.status_code not in (200, 503):
            raise refused(response)
        return read_answer(Readiness, response)

    def patch(self, run_id: str, variation_id: int) -> bytes:
        """Return a variation's patch."""
        return self.call("GET", f"/runs/{run_id}/variations/{variation_id}/patch").content

    def transcript(self, run_id: str, variation_id: int) -> bytes:
        """Return a variation's transcript, JSON lines."""
        return self.call("GET", f"/runs/{run_id}/variations/{variation_id}/transcript").content

    def transcript_lines(self, run_id: str, variation_id: int) -> Iterator[bytes]:
        """Give the lines of a variation's transcript as they come, not all at once.

        Raises
        ------
        ApiError
            If the gateway refuses, or nobody answers.
        """
        path = f"/runs/{run_id}/variations/{variation_id}/transcript"
        rest = b""
        try:
            with self._http.stream("GET", path) as response:
                if response.is_error:
                    response.read()
                    raise refused(response)
                for piece in response.iter_bytes():
                    # Only a newline ends a line; other marks of one may be in a text.
                    *lines, rest = (rest + piece).split(b"\n")
                    yield from lines
        except httpx.TransportError as error:
            raise unreachable(self._url, reason(error)) from None
        if rest:
            yield rest

    def select(self, run_id: str, variation_id: int | None, reason: str | None = None) -> None:
        """Record the winner; ``None`` for none of them."""
        body: dict[str, Any] = {"winning_variation_id": variation_id}
        if reason:
            body["reason"] = reason
        self.call("POST", f"/runs/{run_id}/select", body)

    def cancel(self, run_id: str) -> Run:
        """Stop a run."""
        return read_answer(Run, self.call("POST", f"/runs/{run_id}/cancel"))

    def stream(self, run_id: str, on_away: Callable[[str], None] = lambda _: None) -> RunStream:
        """Return the events of a run, live, until its end; iterate over them.

        Parameters
        ----------
        on_away
            Told why, and for how long it is waited for, when the gateway has gone.
        """
        return RunStream(self._http, run_id, patience=self._patience, on_away=on_away)


def read_answer(model: type[M], response: httpx.Response) -> M:
    """Return an answer's body as a model."""
    try:
        return model.model_validate_json(response.content)
    except ValidationError:
        raise senseless(str(response.request.url.copy_with(path="/", query=None))) from None
