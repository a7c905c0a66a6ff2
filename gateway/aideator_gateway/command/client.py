"""A small client of the HTTP API, for the command: what any other client would write."""

import json
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

import httpx
from httpx_sse import connect_sse

from aideator_gateway.command.datadir import Address
from aideator_gateway.http.bodies import RunList
from aideator_gateway.runs.model import NewRun, Readiness, Run

RECONNECTS = 5
RECONNECT_SECONDS = 0.2

PAGE = 100
"""Runs asked for at a time."""


class ApiError(Exception):
    """The gateway refused, or did not answer; the text is for the person who asked.

    Parameters
    ----------
    status
        HTTP status; 0 without an answer.
    code
        The problem's stable code; ``unreachable`` without an answer.
    detail
        What is wrong, and the remedy.
    """

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code


class Client:
    """Calls one gateway.

    Parameters
    ----------
    address
        Where it listens, and its token.
    """

    def __init__(self, address: Address) -> None:
        self._url = address.url
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

    def _call(self, method: str, path: str, body: Any = None, **query: Any) -> httpx.Response:
        response = self._send(method, path, body, query)
        if response.is_error:
            raise _error(response)
        return response

    def _send(self, method: str, path: str, body: Any, query: dict[str, Any]) -> httpx.Response:
        try:
            return self._http.request(
                method,
                path,
                params=query,
                json={} if body is None and method == "POST" else body,
            )
        except httpx.TransportError as error:
            raise self._unreachable(error) from None

    def _unreachable(self, error: httpx.TransportError) -> ApiError:
        said = str(error) or type(error).__name__
        return ApiError(
            0,
            "unreachable",
            f"The gateway at {self._url} does not answer ({said}): see whether it still runs, "
            "then try again.",
        )

    def create(self, request: NewRun) -> str:
        """Start a run and return its id."""
        body = request.model_dump(mode="json", exclude_unset=True)
        return str(self._call("POST", "/runs", body).json()["run_id"])

    def run(self, run_id: str) -> Run:
        """Return a run."""
        return Run.model_validate_json(self._call("GET", f"/runs/{run_id}").content)

    def runs(self, limit: int | None = None) -> list[Run]:
        """Return the newest runs, or all of them."""
        found: list[Run] = []
        query: dict[str, Any] = {}
        while limit is None or len(found) < limit:
            query["limit"] = PAGE if limit is None else min(PAGE, limit - len(found))
            page = RunList.model_validate_json(self._call("GET", "/runs", **query).content)
            found += page.runs
            if page.next is None:
                break
            query["cursor"] = page.next
        return found

    def readiness(self) -> Readiness:
        """Return whether a run could start now, and where."""
        response = self._send("GET", "/readyz", None, {})
        if response.status_code not in (200, 503):
            raise _error(response)
        return Readiness.model_validate_json(response.content)

    def patch(self, run_id: str, variation_id: int) -> bytes:
        """Return a variation's patch."""
        return self._call("GET", f"/runs/{run_id}/variations/{variation_id}/patch").content

    def transcript(self, run_id: str, variation_id: int) -> bytes:
        """Return a variation's transcript, JSON lines."""
        return self._call("GET", f"/runs/{run_id}/variations/{variation_id}/transcript").content

    def select(self, run_id: str, variation_id: int, reason: str | None = None) -> None:
        """Record the winner."""
        body: dict[str, Any] = {"winning_variation_id": variation_id}
        if reason:
            body["reason"] = reason
        self._call("POST", f"/runs/{run_id}/select", body)

    def cancel(self, run_id: str) -> Run:
        """Stop a run."""
        return Run.model_validate_json(self._call("POST", f"/runs/{run_id}/cancel").content)

    def stream(self, run_id: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Give name and data of every event of a run, live, until its end.

        A connection that breaks is taken up again behind the last event received.
        """
        last = ""
        broken = 0
        while True:
            headers = {"Last-Event-ID": last} if last else {}
            timeout = httpx.Timeout(30.0, read=60.0)
            try:
                with connect_sse(
                    self._http, "GET", f"/runs/{run_id}/stream", headers=headers, timeout=timeout
                ) as source:
                    if source.response.status_code == 204:
                        return
                    if source.response.is_error:
                        source.response.read()
                        raise _error(source.response)
                    for event in source.iter_sse():
                        last, broken = event.id, 0
                        if not event.data:
                            continue  # nothing but a field for the client itself
                        yield event.event, json.loads(event.data)
                        if event.event == "end":
                            return
            except httpx.TransportError as error:
                broken += 1
                if broken > RECONNECTS:
                    raise self._unreachable(error) from None
                time.sleep(RECONNECT_SECONDS * broken)


def _error(response: httpx.Response) -> ApiError:
    try:
        body = response.json()
        return ApiError(response.status_code, body["code"], body["detail"])
    except (ValueError, KeyError, TypeError):
        return ApiError(
            response.status_code, "unknown", f"The gateway answered {response.status_code}."
        )
