"""What pages of other origins may read: everything that is answered to those that were named.

Around all else, errors of the guard and crashes included: a page that may call must be able
to read why it was refused. Other origins are told nothing at all.
"""

from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send


class Pages:
    """ASGI middleware that answers named origins with CORS headers.

    Parameters
    ----------
    app
        What answers, its own errors included.
    origins
        Origins that were named, as browsers send them.
    """

    def __init__(self, app: ASGIApp, origins: Collection[str]) -> None:
        self._app = app
        self._origins = origins
        self._shared = CORSMiddleware(
            app,
            allow_origins=origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID"],
            expose_headers=["Location", "Idempotent-Replayed"],
            # A page on the web that calls this machine's loopback has to be let in by name.
            allow_private_network=True,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the call on; preflights of named origins are answered here."""
        origin = Headers(scope=scope).get("origin") if scope["type"] == "http" else None
        named = origin is None or origin in self._origins
        await (self._shared if named else self._app)(scope, receive, send)
