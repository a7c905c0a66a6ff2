"""One request of an agent: what is sent back, and what it has waited for here."""

import asyncio
from collections.abc import Mapping

from aideator.broker.asgi import ClientGoneError, Send
from aideator.broker.pace import Wait

_WORTH_TELLING_SECONDS = 0.1


class Held:
    """What a request waited for in the broker, which its agent is told with the answer."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    async def wait(self, wait: Wait) -> None:
        """Wait, and remember it."""
        self._seconds[wait.cause] = self.seconds_of(wait.cause) + wait.seconds
        await asyncio.sleep(wait.seconds)

    @property
    def seconds(self) -> float:
        """All of it together."""
        return sum(self._seconds.values())

    def seconds_of(self, cause: str) -> float:
        """Return what of it was for one cause."""
        return self._seconds.get(cause, 0.0)

    @property
    def headers(self) -> dict[str, str]:
        """The header that tells of it, if there is something to tell."""
        told = [
            f"{cause}={seconds:.3f}"
            for cause, seconds in self._seconds.items()
            # Nobody limits anything there: in most runs it is no wait to speak of.
            if cause != "pacing" or seconds >= _WORTH_TELLING_SECONDS
        ]
        return {"aideator-waited": ", ".join(told)} if told else {}


class Exchange:
    """The response to one request.

    Parameters
    ----------
    unread_seconds
        How long what is sent may stay unread.
    """

    def __init__(self, send: Send, unread_seconds: float) -> None:
        self._send = send
        self._unread_seconds = unread_seconds
        self.begun = False
        self.held = Held()

    async def start(self, status: int, headers: Mapping[str, str]) -> None:
        """Begin to answer."""
        self.begun = True
        told = {**headers, **self.held.headers}
        pairs = [(name.encode("latin-1"), text.encode("latin-1")) for name, text in told.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": pairs})

    async def chunk(self, data: bytes) -> None:
        """Send a piece at once.

        Raises
        ------
        ClientGoneError
            Who asked does not read.
        """
        message = {"type": "http.response.body", "body": data, "more_body": True}
        try:
            async with asyncio.timeout(self._unread_seconds):
                await self._send(message)
        except TimeoutError:
            raise ClientGoneError from None

    async def end(self) -> None:
        """End the answer."""
        await self._send({"type": "http.response.body", "body": b""})
