"""The broker that a gateway's runs share: started, started again, and told what it must know.

The listening sockets and the secret that signs tokens are the gateway's. So a broker that is
started anew is the same to agents: those that call meanwhile wait, and their tokens are good.
"""

import asyncio
import logging
import secrets
import socket
import time
from collections.abc import Callable
from contextvars import Context
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from aideator.protocol import DEFAULT_PROVIDER
from aideator_gateway.backends.broker.listening import (
    listen_on_path,
    listen_on_port,
    remove_socket,
    socket_path,
)
from aideator_gateway.backends.broker.process import BrokerProcess
from aideator_gateway.runs.backend import RunSpec
from aideator_gateway.settings import Settings

logger = logging.getLogger(__name__)

WARM_SECONDS = 2.0
"""A broker is started so long after its host, unless a run wants it earlier. It takes a second
of a processor, which a gateway that is gone by then never pays."""

_PAUSES = (0.05, 0.2, 1.0, 2.0, 5.0, 10.0)
"""Seconds before a broker is started again, the last one for good."""

_HOPELESS = 3
"""After so many failures in a row it is a state, and no longer a moment."""

_STEADY_SECONDS = 30.0
"""After so long the pauses begin anew."""


class BrokerHost:
    """Hosts the broker of a gateway.

    Parameters
    ----------
    settings
        The model's server and key.
    directory
        Of this user alone; the socket is there if its path is short enough.
    owner
        Id of the gateway.
    """

    def __init__(self, settings: Settings, directory: Path, owner: str) -> None:
        self._settings = settings
        self._directory = directory
        self._owner = owner
        self._secret = secrets.token_hex(32)
        self._listeners: list[socket.socket] = []
        self._broker: BrokerProcess | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._warming: asyncio.TimerHandle | None = None
        self._revoked: dict[tuple[str, int], float] = {}
        self._spent: dict[str, dict[int, float]] = {}
        self._failures = 0
        self._spent_usd = 0.0
        self._day_left: float | None = None
        self.count: Callable[[float | None], None] = _count_nothing
        """Called with what each answer cost, in US dollars if its price is known."""
        self.refused: Callable[[str, int], None] = _count_no_refusal
        """Called with a cause, and how many more requests were refused for it."""
        self.socket = socket_path(directory, owner)
        """Unix socket that agents call."""
        self.port: int | None = None
        """Port of 127.0.0.1 that agents call, if there is one."""
        self.problem: str | None = None
        """Why there is no broker; ``None`` where there is one, or will be soon."""
        self.providers: dict[str, str | None] = {
            DEFAULT_PROVIDER: None if settings.key_problem(None) is None else "it has no key",
            **{name: provider.problem for name, provider in settings.providers.items()},
        }
        """What is wrong with each provider: as the broker said when it was last started, and
        before that what is known of its key."""

    async def start(self, *, port: bool = False) -> None:
        """Listen, and start a broker soon.

        Parameters
        ----------
        port
            Listen on a port of 127.0.0.1, too.

        Raises
        ------
        OSError
            It cannot listen.
        """
        for name in self._settings.providers:
            self._warn(name, self.providers[name])
        self._listeners.append(listen_on_path(self.socket))
        if port:
            self._listeners.append(listen_on_port())
            self.port = self._listeners[-1].getsockname()[1]
        self._warming = asyncio.get_running_loop().call_later(WARM_SECONDS, self.wake)

    def wake(self) -> None:
        """Start the broker now, if it has not been."""
        if self._keeper is None:
            # What it does, and logs, is not the work of the run that woke it.
            self._keeper = asyncio.create_task(self._keep(), name="broker", context=Context())

    async def aclose(self) -> None:
        """End the broker, and stop listening."""
        if self._warming is not None:
            self._warming.cancel()
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait((self._keeper,))
        for listener in self._listeners:
            listener.close()
        if self._listeners:
            remove_socket(self._directory, self._owner)

    def token(self, spec: RunSpec, variation: int) -> str:
        """Return what opens the broker for an attempt that begins now, until it must end."""
        # A tenth of a second of imports, which only runs need.
        from aideator.protocol.tokens import grant_for, token_for  # noqa: PLC0415

        grant = grant_for(
            spec.task(variation),
            spec.limits,
            run=spec.run_id,
            variation=variation,
            variations=len(spec.tasks),
        )
        return token_for(self.run_secret(spec.run_id), grant)

    def run_secret(self, run: str) -> str:
        """Return the key that signs the tokens of one run, for who starts its agents."""
        from aideator.protocol.tokens import run_secret  # noqa: PLC0415

        self._spent.setdefault(run, {})
        return run_secret(self._secret, run)

    def revoke(self, run: str, variation: int) -> None:
        """Let nothing more through of an attempt that has ended."""
        from aideator.protocol.tokens import MAX_TOKEN_SECONDS  # noqa: PLC0415

        now = time.monotonic()
        self._revoked = {key: until for key, until in self._revoked.items() if until > now}
        self._revoked[run, variation] = now + MAX_TOKEN_SECONDS
        if self._broker is not None:
            self._broker.tell({"revoke": {"run": run, "variation": variation}})

    def set_day_left(self, usd: float) -> None:
        """Let attempts spend so much more today, in US dollars; all of them together."""
        self._day_left = max(0.0, usd)
        if self._broker is not None:
            self._broker.tell({"day_limit_usd": self._spent_usd + self._day_left})

    def forget(self, run: str) -> None:
        """Drop what a run has spent, all of whose attempts have ended."""
        self._spent.pop(run, None)

    async def _keep(self) -> None:
        """Have a broker at work for good."""
        while True:
            started = time.monotonic()
            try:
                how = await self._serve()
            except OSError as error:
                how = f"cannot be started: {error}"
            if time.monotonic() - started > _STEADY_SECONDS:
                self._failures = 0
            logger.warning("the model broker %s; it is started again", how)
            await asyncio.sleep(_PAUSES[min(self._failures, len(_PAUSES) - 1)])
            self._failures += 1
            if self._failures >= _HOPELESS:
                self.problem = f"the model broker {how}"

    async def _serve(self) -> str:
        """Have one broker at work until it dies, and return how it did."""
        self._spent_usd = 0.0
        self._broker = broker = await BrokerProcess.start(
            self._listeners,
            self._config(),
            self._take,
            self._settings.secrets,
            clouds={provider.table.kind for provider in self._settings.providers.values()},
        )
        try:
            return await broker.wait()
        finally:
            self._broker = None
            await broker.aclose()

    def _warn(self, name: str, problem: str | None) -> None:
        if problem:
            logger.warning("the model provider %s cannot be used: %s", name, problem)

    def _config(self) -> dict[str, Any]:
        settings = self._settings
        # A key goes before a token, as with the SDK.
        providers = {
            DEFAULT_PROVIDER: {
                "base_url": settings.base_url,
                "max_concurrent": settings.max_concurrent_requests,
                **_keys(settings.api_key, None if settings.api_key else settings.auth_token),
            }
        }
        for name, provider in settings.providers.items():
            keys = _keys(provider.api_key, provider.auth_token)
            if not keys and provider.variables:
                # The broker's environment holds none: it says so to who asks.
                keys = {"api_key": {"env": provider.variables[0]}}
            providers[name] = {**provider.server, **keys}
        return {
            "signing_secret": {"value": self._secret},
            "providers": providers,
            "default_provider": DEFAULT_PROVIDER,
            "fixed_shares": settings.fixed_shares,
            "day_limit_usd": self._day_left,
            "revoked": [{"run": run, "variation": number} for run, number in self._revoked],
            "spent": [
                {"run": run, "variation": number, "usd": usd}
                for run, variations in self._spent.items()
                for number, usd in variations.items()
            ],
        }

    def _take(self, line: dict[str, Any]) -> None:
        if "spent" in line:
            usd = line["spent"]["usd"]
            self._spent_usd += usd or 0.0
            if self._day_left is not None:
                self._day_left = max(0.0, self._day_left - (usd or 0.0))
            self.count(usd)
        match line:
            case {"ready": True, "providers": dict(providers)}:
                self.problem = None
                for name, problem in providers.items():
                    # What is wrong with a key has been said at the start.
                    if name == DEFAULT_PROVIDER or not self.providers.get(name):
                        self._warn(name, problem)
                self.providers = providers
            case {"spent": {"run": str(run), "variation": int(number), "usd": float(usd)}}:
                if run in self._spent:
                    self._spent[run][number] = self._spent[run].get(number, 0.0) + usd
            case {"refused": dict(counts)}:
                for cause, count in counts.items():
                    self.refused(cause, count)
            case {"error": error}:
                logger.error("the model broker did not understand a message: %s", error)


def _count_nothing(usd: float | None) -> None:
    del usd


def _count_no_refusal(cause: str, count: int) -> None:
    del cause, count


def _keys(api_key: SecretStr | None, auth_token: SecretStr | None) -> dict[str, dict[str, str]]:
    given = {"api_key": api_key, "auth_token": auth_token}
    return {name: _key(secret) for name, secret in given.items() if secret is not None}


def _key(secret: SecretStr) -> dict[str, str]:
    # Bytes of the environment that are no UTF-8 have no form in JSON. No key holds any: what
    # is put in their place makes the broker say that it cannot be sent.
    raw = secret.get_secret_value().encode("utf-8", "surrogateescape")
    return {"value": raw.decode("utf-8", "replace")}
