"""Ask the model: one request at a time, repeated where it failed in passing."""

import asyncio
import json
import random
import ssl
from collections.abc import Iterator, Mapping
from typing import Any

import anthropic
import httpx2

from aideator.agent import api_errors
from aideator.agent.api_errors import ModelFailure
from aideator.agent.budget import Budget
from aideator.agent.emitter import Emitter
from aideator.agent.endings import Failed
from aideator.agent.message import BrokenStreamError, Message, MessageBuilder
from aideator.agent.prices import Prices
from aideator.agent.timing import Timing
from aideator.protocol.addresses import SERVER_FORM, is_server, shown
from aideator.protocol.errors import ErrorCode

API_URL = "https://api.anthropic.com"

_EPHEMERAL = {"type": "ephemeral"}


def check_access(base_url: str | None, api_key: str | None, auth_token: str | None) -> None:
    """Look for what would fail however often it is tried, before anything is.

    Raises
    ------
    Failed
        There is no key where one is needed, or the address or a key cannot be used.
    """
    if not base_url and api_key is None and auth_token is None:
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


def connect(
    *,
    api_key: str | None,
    auth_token: str | None,
    base_url: str | None,
    headers: Mapping[str, str],
    timing: Timing,
) -> anthropic.AsyncAnthropic:
    """Return a client that sends the key to ``base_url`` and nowhere else.

    The address is always given, and redirects are not followed: neither the environment
    nor a configuration file nor a server can move it.
    """
    timeout = httpx2.Timeout(timing.stall, connect=timing.connect)
    return anthropic.AsyncAnthropic(
        # A server without keys still needs the client to have one.
        api_key=api_key or (None if auth_token else "none"),
        auth_token=None if api_key else auth_token,
        base_url=base_url or API_URL,
        default_headers=dict(headers),
        max_retries=0,
        timeout=timeout,
        http_client=anthropic.DefaultAsyncHttpxClient(follow_redirects=False, timeout=timeout),
    )


class Model:
    """The model under one condition, with the system prompt and tools it always gets.

    Parameters
    ----------
    client
        Where requests go.
    name
        The model that is asked for.
    request
        Everything of a request that stays the same: system, tools, settings.
    """

    def __init__(
        self,
        client: anthropic.AsyncAnthropic,
        name: str,
        request: Mapping[str, Any],
        *,
        emitter: Emitter,
        budget: Budget,
        timing: Timing,
        max_retries: int,
    ) -> None:
        self._client = client
        self._name = name
        self._request = request
        self._emitter = emitter
        self._budget = budget
        self._timing = timing
        self._max_retries = max_retries
        self._prices = Prices()

    async def answer(self, turn: int, messages: list[dict[str, Any]]) -> Message:
        """Return the model's answer to the conversation so far.

        Raises
        ------
        Failed
            There is none, after as many repeats as are allowed.
        """
        for number in range(1, self._max_retries + 2):
            try:
                return await self._once(turn, number, messages)
            except ModelFailure as failure:
                if not failure.passing:
                    raise Failed(failure.code, failure.message) from failure
                if number > self._max_retries:
                    tries = f" (the last of {number} tries)" if number > 1 else ""
                    raise Failed(failure.code, f"{failure.message}{tries}") from failure
                wait = self._wait(number, failure.retry_after)
                self._emitter.emit(
                    "retry",
                    **{"turn": turn, "try": number, "code": failure.code.value},
                    message=failure.message,
                    wait_seconds=round(wait, 3),
                )
                await asyncio.sleep(wait)
        raise AssertionError("the last try returns or raises")

    def _wait(self, number: int, asked: float | None) -> float:
        if asked is None:
            # Siblings that were refused together should not come back together.
            jitter = random.uniform(0.75, 1.25)  # noqa: S311  # No secret hangs on it.
            asked = self._timing.retry * 2 ** (number - 1) * jitter
        return min(asked, self._timing.longest_retry)

    async def _once(self, turn: int, number: int, messages: list[dict[str, Any]]) -> Message:
        place = {"turn": turn, "try": number}

        def heard(kind: str, fields: dict[str, object]) -> None:
            self._emitter.emit(kind, **({} if kind == "status" else place), **fields)

        builder = MessageBuilder(heard)
        silence = asyncio.timeout(self._timing.silence)
        try:
            async with silence:
                await self._stream(builder, messages, silence)
        except TimeoutError:
            text = f"The model sent nothing for {self._timing.silence:g} s but signs of life."
            raise ModelFailure(ErrorCode.STREAM_STALLED, text) from None
        except anthropic.APIStatusError as error:
            response = error.response
            raise api_errors.from_response(
                response.status_code, response.headers, error.body
            ) from error
        except (anthropic.APIConnectionError, httpx2.TransportError) as error:
            raise self._unconnected(error, begun=bool(builder.model)) from error
        except (BrokenStreamError, ValueError, httpx2.DecodingError) as error:
            text = f"The response broke off: {error}."
            raise ModelFailure(ErrorCode.STREAM_BROKEN, text) from error
        finally:
            self._count(builder, place)
        return builder.message(number)

    async def _stream(
        self, builder: MessageBuilder, messages: list[dict[str, Any]], silence: asyncio.Timeout
    ) -> None:
        create = self._client.messages.with_streaming_response.create
        request = {**self._request, "model": self._name, "messages": _cached(messages)}
        async with create(**request, stream=True) as response:
            # Plain events, not the SDK's typed ones: those know no type that is new, and
            # building a model object for every token costs more than reading it.
            async for event in anthropic.AsyncStream.raw_events(response.http_response):
                if event.event == "ping" or not event.data:
                    continue
                silence.reschedule(asyncio.get_running_loop().time() + self._timing.silence)
                body = json.loads(event.data)
                if event.event == "error":
                    raise api_errors.from_stream(body)
                if builder.take(body):
                    return
            kind = response.headers.get("content-type", "none")
        raise BrokenStreamError(f"it ended before message_stop (content type {kind})")

    def _unconnected(self, error: Exception, *, begun: bool) -> ModelFailure:
        cause = error.__cause__ if isinstance(error, anthropic.APIConnectionError) else error
        what = str(cause or error) or type(cause or error).__name__
        if isinstance(cause, httpx2.ReadTimeout):
            text = f"The model's server sent nothing for {self._timing.stall:g} s."
            return ModelFailure(ErrorCode.STREAM_STALLED, text)
        if begun:
            return ModelFailure(ErrorCode.STREAM_BROKEN, f"The response broke off: {what}.")
        if isinstance(cause, httpx2.UnsupportedProtocol | httpx2.LocalProtocolError):
            text = f"The request cannot be sent: {what}."
            return ModelFailure(ErrorCode.INVALID_REQUEST, text)
        where = shown(str(self._client.base_url))
        text = f"The model's server at {where} could not be reached: {what}."
        # Who it is does not change from one try to the next.
        final = any(isinstance(e, ssl.SSLCertVerificationError) for e in _causes(error))
        return ModelFailure(ErrorCode.CONNECTION_FAILED, text, final=final)

    def _count(self, builder: MessageBuilder, place: dict[str, int]) -> None:
        usage = builder.usage
        if not usage.tokens:
            return
        # What answered sets the price: a stand-in must not look like what it stands for.
        cost = self._prices.cost(builder.model or self._name, usage)
        usage = usage.model_copy(update={"cost_usd": cost})
        self._budget.add(usage)
        self._emitter.emit(
            "usage",
            **place,
            usage=usage.model_dump(),
            total=self._budget.total.model_dump(),
        )


def _causes(error: BaseException) -> Iterator[BaseException]:
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__ or found.__context__


def _cached(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the conversation with a cache mark on its last block, which moves each turn."""
    *before, last = messages
    if last["role"] != "user":
        # A paused answer goes back as it came.
        return messages
    *blocks, block = last["content"]
    marked = {**block, "cache_control": _EPHEMERAL}
    return [*before, {**last, "content": [*blocks, marked]}]
