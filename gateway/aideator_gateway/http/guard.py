"""Who may call. This server starts coding agents, so it asks from the first request on.

Loopback alone is no fence: a web page can be made to call it (a foreign ``Origin``), or
to take its name (DNS rebinding: a foreign ``Host``). So both are checked, no body but JSON
may change anything, which a form of another page cannot send, and off loopback a token is due.
"""

import secrets

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from aideator_gateway.http.client_page import PREFIX as PAGE
from aideator_gateway.http.problems import response
from aideator_gateway.runs.problems import Problem
from aideator_gateway.settings import Settings

MAX_BODY_BYTES = 1024 * 1024

LARGE_BODY_BYTES = 64 * 1024
LARGE_BODIES = 8
"""How many larger ones than that are in memory at once."""

OPEN_PATHS = ("/", "/healthz", "/openapi.json", "/docs")
"""Paths that need no token: they tell nothing but that the server lives, and its API."""

OPEN_FOLDERS = ("/docs/", PAGE)


class Guard:
    """ASGI middleware that answers calls which may not be made."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the call on, or answer why not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            self._check(scope["path"], scope["scheme"], Headers(scope=scope))
        except Problem as problem:
            await response(problem)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _check(self, path: str, scheme: str, headers: Headers) -> None:
        host = headers.get("host", "")
        if _name(host) not in self._settings.server_hosts:
            raise Problem(
                "host_not_allowed",
                f"{host!r} is not a name of this server; start it with --trusted-host NAME "
                "if it should be.",
            )
        origin = headers.get("origin")
        if (
            origin is not None
            and origin != f"{scheme}://{host}"
            and origin not in self._settings.allow_origin
        ):
            raise Problem(
                "origin_not_allowed",
                f"Pages of {origin} may not call this server; start it with "
                "--allow-origin ORIGIN if they should.",
            )
        if not (path in OPEN_PATHS or path.startswith(OPEN_FOLDERS)):
            self._check_token(headers)

    def _check_token(self, headers: Headers) -> None:
        token = self._settings.token
        if token is None:
            return
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not secrets.compare_digest(
            given.strip().encode(), token.get_secret_value().encode()
        ):
            raise Problem(
                "unauthorized", "Send Authorization: Bearer TOKEN with this server's token."
            )


def _name(host: str) -> str:
    """Return a Host header without its port, in lower case."""
    if host.startswith("["):
        return host[: host.find("]") + 1].lower()
    return host.partition(":")[0].lower()


def check_media_type(headers: Headers) -> None:
    """Raise the ``Problem`` that a body is anything but JSON.

    A request that has no body needs no type. A form always names one, even when it is empty.
    """
    given = headers.get("content-type")
    if given is None and not _has_body(headers):
        return
    if given is None or given.partition(";")[0].strip().lower() != "application/json":
        raise Problem("unsupported_media_type", "Send Content-Type: application/json.")


def has_large_body(headers: Headers) -> bool:
    """Whether a body is large, as far as its headers say."""
    length = headers.get("content-length", "")
    return "transfer-encoding" in headers or len(length) > 9 or int(length or 0) > LARGE_BODY_BYTES


def _has_body(headers: Headers) -> bool:
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


async def read_body(request: Request) -> bytes:
    """Return a request's body, refusing more than ``MAX_BODY_BYTES`` without reading it all."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise Problem("body_too_large", f"Send at most {MAX_BODY_BYTES} bytes.")
    return bytes(body)
