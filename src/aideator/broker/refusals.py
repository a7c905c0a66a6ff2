"""Why the broker does not pass a request on, in the form of the Messages API's errors."""

import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping

from aideator.broker.asgi import Send

logger = logging.getLogger(__name__)

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    502: "api_error",
    503: "overloaded_error",
}


class Refused(Exception):  # noqa: N818 - an answer, raised to leave what led to it
    """A request is answered here.

    Parameters
    ----------
    status
        Of the answer.
    cause
        One word for people who count: it is in the answer's ``aideator-refused``.
    message
        For the person who reads why the attempt failed.
    """

    def __init__(
        self,
        status: int,
        cause: str,
        message: str,
        *,
        kind: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(cause)
        self.status = status
        self.cause = cause
        self.message = message
        self.kind = kind or _TYPES[status]
        self.headers = dict(headers or {})

    async def send(self, send: Send) -> None:
        """Answer with it."""
        error = {"type": "error", "error": {"type": self.kind, "message": self.message}}
        headers = {"aideator-refused": self.cause, **self.headers}
        await send_json(send, self.status, error, headers)


async def send_json(
    send: Send, status: int, value: object, headers: Mapping[str, str] | None = None
) -> None:
    """Answer with a JSON document."""
    body = json.dumps(value).encode()
    heads = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        **(headers or {}),
    }
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(name.encode(), text.encode("latin-1")) for name, text in heads.items()],
        }
    )
    await send({"type": "http.response.body", "body": body})


class Refusals:
    """Counts refusals by cause, and logs them: a flood of one cause is one line a second."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.counts: Counter[str] = Counter()
        self._new: Counter[str] = Counter()
        self._clock = clock
        self._logged: dict[str, float] = {}

    def note(self, refused: Refused, whose: str) -> None:
        """Count one.

        Parameters
        ----------
        whose
            Run and variation as a token that is valid names them, or that there is none.
        """
        self.counts[refused.cause] += 1
        self._new[refused.cause] += 1
        now = self._clock()
        if now - self._logged.get(refused.cause, -1.0) >= 1:
            self._logged[refused.cause] = now
            count = self.counts[refused.cause]
            logger.warning("refused, %s: %s (%d so far)", refused.cause, whose, count)

    def new(self) -> dict[str, int]:
        """Return how many of each cause there were since this was last asked."""
        new, self._new = dict(self._new), Counter()
        return new
