"""The Messages API towards agents: who may ask what, and what becomes of it."""

import asyncio
import contextlib
import hmac
import logging
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from aideator.broker.asgi import ClientGoneError, Receive, Scope, Send
from aideator.broker.body import Body, read_body
from aideator.broker.exchange import Exchange, Held
from aideator.broker.keys import Access, Keys
from aideator.broker.pace import Gate, Pass, Wait
from aideator.broker.pot import Pot
from aideator.broker.refusals import Refusals, Refused, send_json
from aideator.broker.revoked import Revoked
from aideator.broker.upstream import Answer, Upstream, UpstreamError
from aideator.broker.usage import UsageReader
from aideator.protocol.broker import BrokerConfig, Control, Of
from aideator.protocol.prices import Prices
from aideator.protocol.tokens import BadTokenError, Grant, verified

logger = logging.getLogger(__name__)

_LONGEST_HOLD_SECONDS = 1.0
_TELL_SECONDS = 1.0
"""How often at most it is said what was refused."""
_PASSED_UP = ("anthropic-version", "anthropic-beta")

Headers = Mapping[bytes, bytes]


class Broker:
    """An ASGI application.

    Parameters
    ----------
    keys
        Its own.
    accesses
        The configuration's providers, with their keys.
    upstreams
        Their clients, once the SDK has been imported.
    say
        Tells whoever started the broker.
    """

    def __init__(
        self,
        config: BrokerConfig,
        keys: Keys,
        accesses: Mapping[str, Access],
        upstreams: "asyncio.Future[dict[str, Upstream]]",
        say: Callable[[dict[str, Any]], None],
    ) -> None:
        self._config = config
        self._keys = keys
        self._accesses = accesses
        self._upstreams = upstreams
        self._say = say
        self._refusals = Refusals()
        self._telling: asyncio.TimerHandle | None = None
        self._revoked = Revoked(config.revoked)
        self._day_limit = config.day_limit_usd
        self._spent_usd = 0.0
        self._running: defaultdict[tuple[str, int], set[asyncio.Task[None]]] = defaultdict(set)
        self._pot = Pot(fixed=config.fixed_shares)
        for spent in config.spent:
            self._pot.restore(spent)
        for who in config.revoked:
            self._pot.end(who)
        providers = config.providers.items()
        self._gates = {n: Gate(config.pacing, p.max_concurrent) for n, p in providers}
        self._prices = {n: Prices(p.prices) for n, p in providers}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        grant = None
        try:
            if scope["path"] == "/healthz" and scope["method"] in ("GET", "HEAD"):
                await send_json(send, 200, {"status": "ok"})
                return
            if scope["path"] == "/revoke" and self._keys.control is not None:
                await self._controlled(self._keys.control, scope, receive, send)
                return
            _check_route(scope)
            headers = dict(scope["headers"])
            grant = self._granted(scope["headers"])
            await self._limited(grant, headers, receive, send)
        except Refused as refused:
            whose = f"run {grant.run}, variation {grant.variation}" if grant else "no valid token"
            self._refusals.note(refused, whose)
            self._tell_refused_soon()
            await refused.send(send)
        except ClientGoneError:
            pass
        except Exception:
            # The server answers 500, or breaks off.
            logger.exception("a request failed here")
            raise

    def control(self, message: Control) -> None:
        """Do what whoever started the broker says."""
        if who := message.revoke:
            self._revoke(who)
        if message.day_limit_usd is not None:
            self._day_limit = message.day_limit_usd
        if message.report:
            running = sum(map(len, self._running.values()))
            report = {"refused": dict(self._refusals.counts), "running": running}
            self._say({"report": report})

    def _tell_refused_soon(self) -> None:
        if self._telling is None:
            loop = asyncio.get_running_loop()
            self._telling = loop.call_later(_TELL_SECONDS, self._tell_refused)

    def _tell_refused(self) -> None:
        self._telling = None
        self._say({"refused": self._refusals.new()})

    async def _controlled(self, key: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Revoke what somebody asks for who has the key for that."""
        headers = dict(scope["headers"])
        given = headers.get(b"authorization", b"").removeprefix(b"Bearer ")
        if scope["method"] != "POST" or not hmac.compare_digest(given, key.encode()):
            raise Refused(401, "control_refused", "This is for whoever started the broker.")
        body = await read_body(receive, headers.get(b"content-length"), self._config.bounds)
        try:
            who = Of.model_validate(body.value)
        except ValidationError:
            raise Refused(400, "no_attempt", "Name a run and a variation.") from None
        self._revoke(who)
        await send_json(send, 200, {})

    def _revoke(self, who: Of) -> None:
        for run in self._revoked.add(who):
            self._pot.forget(run)
        self._pot.end(who)
        for gate in self._gates.values():
            gate.forget(who)
        for task in self._running.get((who.run, who.variation), ()):
            task.cancel()
        self._say({"revoked": {**who.model_dump(), "spent_usd": self._pot.spent(who)}})

    def _granted(self, headers: list[tuple[bytes, bytes]]) -> Grant:
        tokens = [
            text.removeprefix(b"Bearer ")
            for name, text in headers
            if name == b"x-api-key" or (name == b"authorization" and text.startswith(b"Bearer "))
        ]
        if len(tokens) != 1:
            text = "Send the attempt's token, once, as x-api-key or as a bearer token."
            raise Refused(401, "token_missing", text)
        try:
            grant = verified(self._keys.signing, tokens[0].decode("latin-1"))
        except BadTokenError as error:
            text = "The token has expired." if error.cause == "token_expired" else "No such token."
            raise Refused(401, error.cause, text) from None
        self._check_revoked(grant)
        return grant

    def _check_revoked(self, grant: Grant) -> None:
        if grant in self._revoked:
            raise Refused(403, "token_revoked", "The attempt that this token is for has ended.")

    async def _limited(self, grant: Grant, headers: Headers, receive: Receive, send: Send) -> None:
        """Answer as long as who asked is there and may ask."""
        tasks = self._running[grant.run, grant.variation]
        if len(tasks) >= self._config.bounds.requests_of_a_variation:
            text = "This attempt has too many requests under way."
            raise Refused(429, "too_many_requests", text)
        exchange = Exchange(send, self._config.bounds.idle_seconds * 6)
        work = asyncio.create_task(self._answer(grant, headers, receive, exchange))
        tasks.add(work)
        try:
            await asyncio.wait({work})
        finally:
            if not work.done():
                work.cancel()
                await asyncio.wait({work})
            tasks.discard(work)
            if not tasks:
                del self._running[grant.run, grant.variation]
        if not work.cancelled():
            try:
                work.result()
            except Refused as refused:
                refused.headers |= exchange.held.headers
                raise
        elif not exchange.begun:
            # Only what ends an attempt, or its caller, cancels it.
            self._check_revoked(grant)
        # Else it breaks off: the server closes a response that was not completed.

    async def _answer(
        self, grant: Grant, headers: Headers, receive: Receive, exchange: Exchange
    ) -> None:
        body = await read_body(receive, headers.get(b"content-length"), self._config.bounds)
        gone = asyncio.create_task(_cancel_when_gone(receive, asyncio.current_task()))
        try:
            await self._ask(grant, headers, body, exchange)
        finally:
            gone.cancel()

    async def _ask(self, grant: Grant, headers: Headers, body: Body, exchange: Exchange) -> None:
        provider, gate = self._provider(grant)
        if body.value.get("model") not in grant.models:
            text = f"This attempt may ask for {', '.join(grant.models)} only."
            raise Refused(403, "other_model", text)
        upstream = (await asyncio.shield(self._upstreams))[provider]
        who = Of(run=grant.run, variation=grant.variation)
        passed = await self._passed(gate, who, grant, exchange.held)
        try:
            try:
                answer = await upstream.ask(body, _headers_up(grant, headers))
            except UpstreamError as error:
                raise Refused(502, error.cause, error.message) from error
            try:
                if wait := gate.answered(passed, who, answer.status, answer.headers):
                    raise _wait_answer(wait)
                await self._pass_on(grant, provider, body, answer, exchange)
            finally:
                await answer.close()
        finally:
            gate.ended(passed)

    def _provider(self, grant: Grant) -> tuple[str, Gate]:
        name = grant.provider or self._config.default_provider
        if name not in self._accesses:
            text = f"There is no provider {name}; there is {', '.join(self._accesses)}."
            raise Refused(404, "unknown_provider", text)
        if problem := self._accesses[name].problem:
            text = f"The provider {name} cannot be asked: {problem}."
            raise Refused(401, "provider_unusable", text)
        return name, self._gates[name]

    async def _passed(self, gate: Gate, who: Of, grant: Grant, held: Held) -> Pass:
        """Wait for a short while if need be."""
        while True:
            # After each wait: what was allowed before may not be any more.
            self._check_revoked(grant)
            self._check_money(grant)
            passed = gate.ask(who)
            if isinstance(passed, Pass):
                return passed
            if not passed.held or held.seconds + passed.seconds > _LONGEST_HOLD_SECONDS:
                raise _wait_answer(passed)
            await held.wait(passed)

    def _check_money(self, grant: Grant) -> None:
        if self._day_limit is not None and self._spent_usd >= self._day_limit:
            text = "The gateway's spending cap of today (UTC) is used up."
            raise _spent("day_cost", text, self._allowance(grant))
        allowance = self._pot.allowance(grant)
        if allowance is not None and self._pot.spent(grant) >= allowance:
            text = f"This attempt has used the {allowance:.4f} US dollars that it may use."
            raise _spent("cost", text, self._allowance(grant))

    def _allowance(self, grant: Grant) -> dict[str, str]:
        allowance = self._pot.allowance(grant)
        return {} if allowance is None else {"aideator-allowance-usd": f"{allowance:.6f}"}

    async def _pass_on(
        self, grant: Grant, provider: str, body: Body, answer: Answer, exchange: Exchange
    ) -> None:
        reader = UsageReader(streamed=answer.streamed)
        await exchange.start(answer.status, {**answer.headers, **self._allowance(grant)})
        try:
            async for chunk in answer.chunks:
                await exchange.chunk(chunk)
                reader.feed(chunk)
        except UpstreamError as error:
            # The agent sees it break off too, and says so to its reader.
            logger.info("an answer broke off: %s", error.message)
            return
        finally:
            reader.end()
            if answer.status == 200:
                self._count(grant, provider, str(body.value["model"]), reader)
        await exchange.end()

    def _count(self, grant: Grant, provider: str, asked_for: str, reader: UsageReader) -> None:
        usage = reader.usage
        if not usage.tokens and reader.complete:
            return
        # What answered sets the price: a stand-in must not look like what it stands for.
        model = reader.model or asked_for
        cost = self._prices[provider].cost(model, usage) if reader.complete else None
        if cost is not None:
            self._spent_usd += cost
            self._pot.add(grant, cost)
        spent = {
            **grant.model_dump(include={"run", "variation", "attempt"}),
            "provider": provider,
            "model": model,
            **usage.model_dump(exclude={"cost_usd"}),
            "usd": cost,
        }
        self._say({"spent": spent})


def _check_route(scope: Scope) -> None:
    if scope["path"] != "/v1/messages":
        raise Refused(404, "other_path", "Only POST /v1/messages is served here.")
    if scope["method"] != "POST":
        text = "Only POST /v1/messages is served here."
        raise Refused(405, "other_method", text, headers={"allow": "POST"})


async def _cancel_when_gone(receive: Receive, work: "asyncio.Task[None] | None") -> None:
    with contextlib.suppress(asyncio.CancelledError):
        while (await receive())["type"] != "http.disconnect":
            pass
        if work is not None:
            work.cancel()


def _headers_up(grant: Grant, headers: Headers) -> dict[str, str]:
    """Return what a provider is sent beside the client's own headers and the body."""
    found = {
        name: headers[name.encode()].decode("latin-1")
        for name in _PASSED_UP
        if name.encode() in headers
    }
    return {
        **found,
        "x-aideator-run": grant.run,
        "x-aideator-variation": str(grant.variation),
    }


def _wait_answer(wait: Wait) -> Refused:
    headers = {"aideator-wait": wait.cause, "retry-after": f"{wait.seconds:.3f}"}
    text = f"Wait {wait.seconds:.1f} s ({wait.cause})."
    return Refused(429, f"wait_{wait.cause}", text, headers=headers)


def _spent(limit: str, text: str, headers: Mapping[str, str]) -> Refused:
    headers = {"aideator-limit": limit, **headers}
    return Refused(403, f"limit_{limit}", text, kind="billing_error", headers=headers)
