"""The way to the model's server: HTTP, and nothing about conversations."""

import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2

from aideator.agent import api_errors
from aideator.agent.api_errors import ModelFailure
from aideator.agent.endings import Failed
from aideator.agent.timing import Timing
from aideator.protocol.addresses import SERVER_FORM, is_server, shown
from aideator.protocol.errors import ErrorCode
from aideator.protocol.events import VERSION

API_URL = "https://api.anthropic.com"

MAX_ERROR_BYTES = 64 * 1024
"""Most that is read of a response that is an error."""

# As version 2.12 of Anthropic's own SDK sends them: this version of the API takes a key of
# either kind as a bearer token.
_API_VERSION = "2026-10-21"


def check_access(
    base_url: str | None, socket: Path | None, api_key: str | None, auth_token: str | None
) -> None:
    """Look for what would fail however often it is tried, before anything is.

    Raises
    ------
    Failed
        There is no key where one is needed, or the address or a key cannot be used.
    """
    if not base_url and socket is None and api_key is None and auth_token is None:
        raise Failed(ErrorCode.MISSING_API_KEY, "There is no API key for the model.")
    if base_url and not is_server(base_url):
        text = (
            f"{shown(base_url)!r:.200} is no address of a model's server; it must be {SERVER_FORM}."
        )
        raise Failed(ErrorCode.INVALID_REQUEST, text)
    for key in (api_key, auth_token):
        if key and not (key.isascii() and key.isprintable() and key == key.strip()):
            text = "The API key has white space around it, or characters that cannot be sent."
            raise Failed(ErrorCode.AUTHENTICATION_FAILED, text)


class Client:
    """Sends requests for messages to one server, and the key to nowhere else.

    Redirects are not followed, and no variable but the proxies' moves a request. Certificates
    are checked as ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` say. A connection is used again
    for the next request, if that comes soon.

    Parameters
    ----------
    base_url
        The server's address; ``None`` is Anthropic's own.
    socket
        Unix socket on which the server listens, without TLS. The address then gives no more
        than the ``Host`` header and the path before ``/v1/messages``.
    headers
        Sent with every request.

    Raises
    ------
    Failed
        A proxy of the environment, the address or a header cannot be used.
    """

    def __init__(
        self,
        *,
        api_key: str | None,
        auth_token: str | None,
        base_url: str | None,
        socket: Path | None,
        headers: Mapping[str, str],
        timing: Timing,
    ) -> None:
        self._timing = timing
        self._address = shown(base_url or API_URL) if socket is None else str(socket)
        # Else a server may be closing a connection just as a request is sent on it.
        limits = httpx2.Limits(keepalive_expiry=timing.idle)
        transport = None
        try:
            url = httpx2.URL(base_url or API_URL)
            if socket is not None:
                url = url.copy_with(scheme="http")
                transport = httpx2.AsyncHTTPTransport(uds=str(socket), limits=limits)
            self._http = httpx2.AsyncClient(
                base_url=url,
                transport=transport,
                limits=limits,
                headers={
                    # A server without keys is asked in the same way as any other.
                    "authorization": f"Bearer {api_key or auth_token or 'none'}",
                    "anthropic-version": _API_VERSION,
                    "user-agent": f"aideator/{VERSION}",
                    **headers,
                },
                timeout=httpx2.Timeout(timing.stall, connect=timing.connect),
                follow_redirects=False,
            )
        except (httpx2.InvalidURL, ImportError, ValueError) as error:
            text = f"The model's server cannot be asked: {shown(str(error))}"
            raise Failed(ErrorCode.INVALID_REQUEST, text) from error

    async def aclose(self) -> None:
        """Close what is open."""
        await self._http.aclose()

    @asynccontextmanager
    async def post(
        self, request: Mapping[str, Any], heard: Callable[[Mapping[str, str]], None]
    ) -> AsyncIterator[httpx2.Response]:
        """Send a request, and give its response once that has begun well.

        Parameters
        ----------
        heard
            Called with the headers of any response.

        Raises
        ------
        ModelFailure
            The response is an error.
        ToWait, LimitReached
            A broker does not let the request through.
        httpx2.TransportError, httpx2.DecodingError
            There is none, or it broke off; ``unreachable`` says what that means.
        """
        async with self._http.stream("POST", "v1/messages", json=request) as response:
            heard(response.headers)
            if not response.is_success:
                text = await _beginning(response)
                raise api_errors.from_response(response.status_code, response.headers, text)
            yield response

    def unreachable(self, error: httpx2.TransportError, *, begun: bool) -> ModelFailure:
        """Return what it means that a response did not come, or not all of it.

        Parameters
        ----------
        begun
            Whether something of the message had come by then.
        """
        # Some end as a sentence does, and here each is a part of one.
        what = (str(error) or type(error).__name__).rstrip(".")
        if isinstance(error, httpx2.ReadTimeout):
            text = f"The model's server sent nothing for {self._timing.stall:g} s."
            return ModelFailure(ErrorCode.STREAM_STALLED, text)
        if begun:
            return ModelFailure(ErrorCode.STREAM_BROKEN, f"The response broke off: {what}.")
        if isinstance(error, httpx2.UnsupportedProtocol | httpx2.LocalProtocolError):
            text = f"The request cannot be sent: {what}."
            return ModelFailure(ErrorCode.INVALID_REQUEST, text)
        text = f"The model's server at {self._address} could not be reached: {what}."
        # Who it is does not change from one try to the next.
        final = any(isinstance(e, ssl.SSLCertVerificationError) for e in _causes(error))
        return ModelFailure(ErrorCode.CONNECTION_FAILED, text, final=final)


async def _beginning(response: httpx2.Response) -> str:
    body = b""
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) >= MAX_ERROR_BYTES:
            break
    return body[:MAX_ERROR_BYTES].decode(errors="replace")


def _causes(error: BaseException) -> Iterator[BaseException]:
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__ or found.__context__
