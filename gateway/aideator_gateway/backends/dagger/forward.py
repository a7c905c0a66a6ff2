"""The user's own collector of logs, which goes on getting what it would have got."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Self

import httpx

logger = logging.getLogger(__name__)

MAX_WAITING_BYTES = 16 * 1024 * 1024
"""Most bytes that wait for a slow collector; what comes on top is dropped, and said once."""

SEND_SECONDS = 10.0

_NOT_PASSED_ON = ("host", "content-length", "connection", "transfer-encoding", "accept-encoding")


class LogForwarder:
    """Sends requests with logs on, in the background, in order, and never waits for it.

    Parameters
    ----------
    endpoint
        Where to; the path is used as it is.
    """

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._queue: asyncio.Queue[tuple[bytes, dict[str, str]]] = asyncio.Queue()
        self._bytes = 0
        self._complained = False
        self._task: asyncio.Task[None] | None = None

    @classmethod
    def of_environment(cls, environ: Mapping[str, str]) -> Self | None:
        """Return a forwarder to the logs endpoint that the user's environment names.

        The generic ``OTEL_EXPORTER_OTLP_ENDPOINT`` does not count: the Dagger client sends
        no logs there either, and these hold the agents' whole output.
        """
        endpoint = environ.get("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT")
        if not endpoint:
            return None
        protocol = (
            environ.get("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL")
            or environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
            or "http/protobuf"
        )
        if protocol not in ("http/protobuf", "http"):
            logger.warning(
                "the engine's logs do not go to OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: "
                "only http/protobuf can be passed on, not %s",
                protocol,
            )
            return None
        return cls(endpoint)

    def start(self) -> None:
        """Start to send."""
        self._task = asyncio.create_task(self._send_all(), name="log forwarder")

    async def aclose(self) -> None:
        """Send what is left, as far as the collector takes it at once, and stop."""
        if self._task is not None:
            try:
                async with asyncio.timeout(1):
                    await self._queue.join()
            except TimeoutError:
                pass
            self._task.cancel()
            await asyncio.wait([self._task])

    def forward(self, body: bytes, headers: Mapping[str, str]) -> None:
        """Pass a request on, as it came; never waits."""
        if self._bytes + len(body) > MAX_WAITING_BYTES:
            self._complain("is too slow; some logs were dropped")
            return
        kept = {name: value for name, value in headers.items() if name not in _NOT_PASSED_ON}
        self._bytes += len(body)
        self._queue.put_nowait((body, kept))

    async def _send_all(self) -> None:
        async with httpx.AsyncClient(timeout=SEND_SECONDS) as client:
            while True:
                body, headers = await self._queue.get()
                try:
                    answer = await client.post(self._endpoint, content=body, headers=headers)
                    if answer.is_error:
                        self._complain(f"answered {answer.status_code}")
                except (httpx.HTTPError, httpx.InvalidURL) as error:
                    self._complain(f"failed: {type(error).__name__}: {error}")
                finally:
                    self._bytes -= len(body)
                    self._queue.task_done()

    def _complain(self, what: str) -> None:
        if not self._complained:
            self._complained = True
            logger.warning("the collector at OTEL_EXPORTER_OTLP_LOGS_ENDPOINT %s", what)
