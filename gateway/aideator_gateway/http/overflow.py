"""What is answered where there are more connections than are kept."""

from starlette.types import ASGIApp, Receive, Scope, Send

from aideator_gateway.http.problems import response
from aideator_gateway.runs.problems import Problem

ALWAYS = ("/healthz", "/readyz", "/metrics")
"""What those who look after the server can ask in any case."""

RETRY_SECONDS = 5


class Overflow:
    """ASGI application for connections beyond the limit.

    Parameters
    ----------
    app
        Answers what is asked of the server itself.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Say that there is no room, and have the connection closed."""
        if scope["path"] in ALWAYS:
            await self._app(scope, receive, send)
            return
        problem = Problem(
            "too_many_connections",
            "As many clients are connected as may be at once: send the request again later, or "
            "start the server with a higher --max-connections.",
            retry_after=RETRY_SECONDS,
        )
        answer = response(problem)
        answer.headers["Connection"] = "close"
        await answer(scope, receive, send)
