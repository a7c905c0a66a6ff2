"""Ask the model: one request at a time, repeated where it failed in passing."""

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import httpx2

from aideator.agent import api_errors
from aideator.agent.api_errors import LimitReached, ModelFailure, ToWait
from aideator.agent.budget import Budget
from aideator.agent.client import Client
from aideator.agent.emitter import Emitter
from aideator.agent.endings import Completed, Failed
from aideator.agent.message import BrokenStreamError, Message, MessageBuilder
from aideator.agent.sse import ServerSentEvent, SseDecoder
from aideator.agent.timing import Timing
from aideator.protocol.errors import ErrorCode
from aideator.protocol.outcomes import StopReason
from aideator.protocol.prices import Price, Prices

_EPHEMERAL = {"type": "ephemeral"}


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
    prices
        By model; go before the table of known prices.
    """

    def __init__(
        self,
        client: Client,
        name: str,
        request: Mapping[str, Any],
        *,
        emitter: Emitter,
        budget: Budget,
        timing: Timing,
        max_retries: int,
        prices: Mapping[str, Price],
    ) -> None:
        self._client = client
        self._name = name
        self._request = request
        self._emitter = emitter
        self._budget = budget
        self._timing = timing
        self._max_retries = max_retries
        self._prices = Prices(prices)

    async def answer(self, turn: int, messages: list[dict[str, Any]]) -> Message:
        """Return the model's answer to the conversation so far.

        Raises
        ------
        Failed
            There is none, after as many repeats as are allowed.
        Completed
            No more may be spent.
        """
        for number in range(1, self._max_retries + 2):
            try:
                return await self._when_let_through(turn, number, messages)
            except LimitReached as reached:
                self._emitter.status("notice", str(reached))
                raise Completed(StopReason.LIMIT_COST) from reached
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

    async def _when_let_through(
        self, turn: int, number: int, messages: list[dict[str, Any]]
    ) -> Message:
        """Ask until a broker has let the request through: a wait is no try."""
        while True:
            try:
                return await self._once(turn, number, messages)
            except ToWait as wait:
                self._tell_wait(turn, number, wait)
                await asyncio.sleep(wait.seconds)

    def _tell_wait(self, turn: int, number: int, wait: ToWait) -> None:
        self._emitter.emit(
            "wait",
            **{"turn": turn, "try": number, "cause": wait.cause},
            seconds=round(wait.seconds, 3),
            message=wait.message,
        )

    def _wait(self, number: int, asked: float | None) -> float:
        if asked is None:
            # Siblings that were refused together should not come back together.
            jitter = random.uniform(0.75, 1.25)  # noqa: S311  # No secret hangs on it.
            asked = self._timing.retry * 2 ** (number - 1) * jitter
        return min(asked, self._timing.longest_retry)

    async def _once(self, turn: int, number: int, messages: list[dict[str, Any]]) -> Message:
        position = {"turn": turn, "try": number}

        def emit(kind: str, fields: dict[str, object]) -> None:
            self._emitter.emit(kind, **({} if kind == "status" else position), **fields)

        def heard(headers: Mapping[str, str]) -> None:
            self._budget.allow(headers.get("aideator-allowance-usd"))
            for wait in api_errors.waited(headers):
                self._tell_wait(turn, number, wait)

        builder = MessageBuilder(emit)
        silence = asyncio.timeout(self._timing.silence)
        try:
            async with silence:
                await self._stream(builder, messages, heard, silence)
        except TimeoutError:
            text = f"The model sent nothing for {self._timing.silence:g} s but signs of life."
            raise ModelFailure(ErrorCode.STREAM_STALLED, text) from None
        except httpx2.TransportError as error:
            raise self._client.unreachable(error, begun=bool(builder.model)) from error
        except (BrokenStreamError, ValueError, RecursionError, httpx2.DecodingError) as error:
            text = f"The response broke off: {error}."
            raise ModelFailure(ErrorCode.STREAM_BROKEN, text) from error
        finally:
            self._count(builder, position)
        return builder.message(number)

    async def _stream(
        self,
        builder: MessageBuilder,
        messages: list[dict[str, Any]],
        heard: Callable[[Mapping[str, str]], None],
        silence: asyncio.Timeout,
    ) -> None:
        request = {
            **self._request, "model": self._name, "messages": _cached(messages), "stream": True,
        }  # fmt: skip
        decoder = SseDecoder()
        async with self._client.post(request, heard) as response:
            pieces = response.aiter_bytes()
            async for piece in pieces:
                for event in decoder.feed(piece):
                    if event.name == "ping" or not event.data:
                        continue
                    silence.reschedule(asyncio.get_running_loop().time() + self._timing.silence)
                    if _take(builder, event):
                        await self._drain(pieces)
                        return
            kind = response.headers.get("content-type", "none")
        raise BrokenStreamError(f"it ended before message_stop (content type {kind})")

    async def _drain(self, pieces: AsyncIterator[bytes]) -> None:
        """Read to the end, without which the connection cannot be used for the next request."""
        with contextlib.suppress(TimeoutError, httpx2.TransportError, httpx2.DecodingError):
            async with asyncio.timeout(self._timing.drain):
                async for _ in pieces:
                    pass

    def _count(self, builder: MessageBuilder, position: dict[str, int]) -> None:
        usage = builder.usage
        if not usage.tokens:
            return
        # What answered sets the price: a stand-in must not look like what it stands for.
        cost = self._prices.cost(builder.model or self._name, usage)
        usage = usage.model_copy(update={"cost_usd": cost})
        self._budget.add(usage)
        self._emitter.emit(
            "usage",
            **position,
            usage=usage.model_dump(),
            total=self._budget.total.model_dump(),
        )


def _take(builder: MessageBuilder, event: ServerSentEvent) -> bool:
    body = json.loads(event.data)
    if event.name == "error":
        raise api_errors.from_stream(body)
    return builder.take(body)


def _cached(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the conversation with a cache mark on its last block, which moves each turn."""
    *before, last = messages
    if last["role"] != "user":
        # A paused answer goes back as it came.
        return messages
    *blocks, block = last["content"]
    marked = {**block, "cache_control": _EPHEMERAL}
    return [*before, {**last, "content": [*blocks, marked]}]
