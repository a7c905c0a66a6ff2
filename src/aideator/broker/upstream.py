"""One provider: a client that sends its key to one address and nowhere else.

Whatever comes back is handed on as it came. The SDK is imported when the first client is
made, which takes a second or more of a processor.
"""

import asyncio
import gc
import importlib.util
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from aideator.broker.body import Body
from aideator.broker.keys import Access
from aideator.protocol.addresses import shown
from aideator.protocol.broker import Bounds

if TYPE_CHECKING:
    import anthropic
    import httpx2

API_URL = "https://api.anthropic.com"

_PASSED_ON = frozenset({"content-type", "retry-after", "request-id", "location"})
_EXTRAS = {"bedrock": "boto3", "vertex": "google.auth"}


class UpstreamError(Exception):
    """No answer, or no more of it."""

    def __init__(self, cause: str, message: str) -> None:
        super().__init__(message)
        self.cause = cause
        self.message = message


@dataclass(frozen=True)
class Answer:
    """What a provider answers, as it comes."""

    status: int
    headers: Mapping[str, str]
    """Those that agents are meant to see, by lower-case name."""
    chunks: AsyncIterator[bytes]
    """The body. Raises ``UpstreamError`` where it breaks off."""
    close: Callable[[], Any]
    """Awaited when no more of it is wanted."""

    @property
    def streamed(self) -> bool:
        """Whether it is a stream of events."""
        return self.headers.get("content-type", "").startswith("text/event-stream")


class Upstream(Protocol):
    """Asks one provider."""

    async def ask(self, body: Body, headers: Mapping[str, str]) -> Answer:
        """Send one request, once.

        Raises
        ------
        UpstreamError
            There is no answer.
        """
        ...


def usable(accesses: Mapping[str, Access]) -> dict[str, Access]:
    """Return the same, with what has to be installed as the problem where something has."""
    found = {}
    for name, access in accesses.items():
        kind = access.provider.kind
        # A ready access token needs nobody to fetch one.
        needed = None if access.auth_token else _EXTRAS.get(kind)
        missing = not access.problem and not installed(needed)
        problem = f"it needs more packages: pip install 'aideator[{kind}]'"
        found[name] = replace(access, problem=problem) if missing else access
    return found


def installed(package: str | None) -> bool:
    """Return whether a package is there to be imported; none always is."""
    try:
        return package is None or importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:
        # It is the parent that is missing.
        return False


def load(accesses: Mapping[str, Access], bounds: Bounds) -> dict[str, Upstream]:
    """Import the SDK and return a client of each provider that can be asked, by name."""
    # Imports make objects by the hundred thousand, and no garbage.
    gc.disable()
    import anthropic  # noqa: F401, PLC0415

    found = {name: _SdkUpstream(a, bounds) for name, a in accesses.items() if not a.problem}
    # Collections would look at all of it again and again, in the middle of streams.
    gc.freeze()
    gc.enable()
    return dict(found)


class _SdkUpstream:
    """Asks through a client of the SDK."""

    def __init__(self, access: Access, bounds: Bounds) -> None:
        self._kind = access.provider.kind
        self._client = _client(access, bounds)
        self._where = shown(str(self._client.base_url))
        self._silence = bounds.silence_seconds

    async def ask(self, body: Body, headers: Mapping[str, str]) -> Answer:
        import anthropic  # noqa: PLC0415
        import httpx2  # noqa: PLC0415

        try:
            if self._kind == "bedrock" and body.value.get("stream"):
                return await self._ask_bedrock(body, headers)
            # What is sent is made of these and the client's own; compressed, events would wait
            # for one another.
            options: Any = {"headers": {"accept-encoding": "identity", **headers}}
            content: Any = (
                {"content": body.data} if self._kind == "anthropic" else {"body": body.value}
            )
            if self._kind == "anthropic":
                options["headers"]["content-type"] = "application/json"
            response: httpx2.Response = await self._client.post(
                "/v1/messages", cast_to=httpx2.Response, options=options, stream=True, **content
            )
        except anthropic.APIStatusError as error:
            whole = error.response
            return Answer(whole.status_code, _passed_on(whole), _once(whole.content), _nothing)
        except Exception as error:
            raise self._failure(error) from error
        return Answer(
            response.status_code,
            _passed_on(response),
            self._broken(response.aiter_bytes()),
            response.aclose,
        )

    async def _ask_bedrock(self, body: Body, headers: Mapping[str, str]) -> Answer:
        """Turn what comes in the framing of AWS into events as the Messages API sends them."""
        import anthropic  # noqa: PLC0415

        stream: anthropic.AsyncStream[Any] = await self._client.post(
            "/v1/messages",
            cast_to=object,
            body=body.value,
            options={"headers": dict(headers)},
            stream=True,
            stream_cls=anthropic.AsyncStream[object],
        )
        seen = {**_passed_on(stream.response), "content-type": "text/event-stream"}
        chunks = self._broken(_events(stream))
        return Answer(stream.response.status_code, seen, chunks, stream.close)

    async def _broken(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        try:
            async for chunk in chunks:
                yield chunk
        except Exception as error:
            raise self._failure(error) from error

    def _failure(self, error: Exception) -> UpstreamError:
        import httpx2  # noqa: PLC0415

        causes = list(_causes(error))
        if any(isinstance(e, ssl.SSLCertVerificationError) for e in causes):
            # Who it is does not change from one try to the next.
            text = f"The certificate of the model's server at {self._where} is not valid."
            return UpstreamError("upstream_untrusted", text)
        if any(isinstance(e, httpx2.ReadTimeout) for e in causes):
            text = f"The model's server sent nothing for {self._silence:g} s."
            return UpstreamError("upstream_silent", text)
        # Only errors of the network say more than their name: others may repeat what was sent.
        what = next((e for e in causes if isinstance(e, httpx2.TransportError)), error)
        speaks = isinstance(what, httpx2.NetworkError | httpx2.TimeoutException)
        detail = (str(what) if speaks else "") or type(what).__name__
        text = f"The model's server at {self._where} could not be reached: {detail}."
        return UpstreamError("upstream_unreachable", text)


def _client(access: Access, bounds: Bounds) -> "anthropic.AsyncAnthropic":
    import anthropic  # noqa: PLC0415
    import httpx2  # noqa: PLC0415

    provider = access.provider
    timeout = httpx2.Timeout(bounds.silence_seconds, connect=bounds.connect_seconds, pool=None)
    settings: dict[str, Any] = {
        "max_retries": 0,
        "timeout": timeout,
        # Redirects are not followed: no server can move the key.
        "http_client": anthropic.DefaultAsyncHttpxClient(follow_redirects=False, timeout=timeout),
        "open_telemetry": False,
    }
    client: Any
    if provider.kind == "bedrock":
        url = provider.base_url or f"https://bedrock-runtime.{provider.region}.amazonaws.com"
        client = anthropic.AsyncAnthropicBedrock(
            base_url=url, aws_region=provider.region, api_key=access.api_key, **settings
        )
    elif provider.kind == "vertex":
        client = anthropic.AsyncAnthropicVertex(
            base_url=provider.base_url, region=provider.region or "",
            project_id=provider.project or "",
            access_token=access.auth_token, **settings,
        )  # fmt: skip
    else:
        client = anthropic.AsyncAnthropic(
            # A server without keys still needs the client to have one.
            api_key=access.api_key or (None if access.auth_token else "none"),
            auth_token=access.auth_token,
            base_url=provider.base_url or API_URL,
            **settings,
        )
    return client  # type: ignore[no-any-return]


def _passed_on(response: "httpx2.Response") -> dict[str, str]:
    return {
        name: text
        for name, text in response.headers.items()
        if name in _PASSED_ON or name.startswith("anthropic-ratelimit-")
    }


async def _events(stream: AsyncIterator[Any]) -> AsyncIterator[bytes]:
    import anthropic  # noqa: PLC0415
    import pydantic_core  # noqa: PLC0415

    try:
        async for event in stream:
            data = pydantic_core.to_json(event)
            yield b"event: %s\ndata: %s\n\n" % (str(event.get("type")).encode(), data)
    except anthropic.APIStatusError as error:
        yield b"event: error\ndata: %s\n\n" % pydantic_core.to_json(error.body)


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def _nothing() -> None:
    await asyncio.sleep(0)


def _causes(error: BaseException) -> Iterator[BaseException]:
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__ or found.__context__
