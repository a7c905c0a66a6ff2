"""How agents reach the model: a broker that holds the key, and a token for each agent."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import dagger
from dagger import Container, Secret, Service, dag

from aideator.containers import broker_image, not_prepared, python
from aideator.errors import engine_message, unusable
from aideator.model_server import ModelServer, host_of
from aideator.protocol import DEFAULT_PROVIDER, MODEL_HOST
from aideator.protocol.broker import BrokerConfig, Of, Provider
from aideator.protocol.commands import NOBODY
from aideator.protocol.tokens import Grant, run_secret, token_for

_HOST = "broker"
_PORT = 8080
BROKER_URL = f"http://{_HOST}:{_PORT}"
"""Where agents find the module's own broker."""

Servers = Mapping[str, ModelServer]
"""Model servers by name, those that are asked."""

_SECRETS = "/run/secrets"
_CREDENTIALS = {
    "bedrock": "AWS_SHARED_CREDENTIALS_FILE",
    "vertex": "GOOGLE_APPLICATION_CREDENTIALS",
}
_CONTROL_SECONDS = 10.0
_CONFIG = "/aideator/broker.json"
# Not the agents': a limit on processes counts all that one user id has on the machine.
_USER = f"{NOBODY - 1}:{NOBODY - 1}"


@dataclass(frozen=True)
class Access:
    """The way of a run's agents to a broker.

    Attributes
    ----------
    run_key
        Signs the run's tokens.
    host, service
        What agents are bound to, and the name they know it by.
    """

    run_key: str = field(repr=False)
    host: str
    service: Service | None
    control: "Control | None" = None
    """Of a broker of our own."""

    async def ended(self, grant: Grant) -> None:
        """Take the token of an attempt that has ended, and let its siblings have what is left."""
        if self.control is not None:
            await self.control.revoke(Of(run=grant.run, variation=grant.variation))

    def token(self, grant: Grant) -> Secret:
        """Return the token of one attempt."""
        return _secret("token", token_for(self.run_key, grant))


@dataclass(frozen=True)
class Control:
    """The way from the module to a broker that it has started."""

    url: str
    key: str = field(repr=False)

    async def revoke(self, who: Of) -> None:
        """Tell that an attempt has ended."""
        # A tenth of a second of imports, which a call can spend once its agents are at work.
        import httpx2  # noqa: PLC0415

        headers = {"authorization": f"Bearer {self.key}"}
        # Without it a token lives until its time is up, and what is left over is nobody's.
        with suppress(httpx2.HTTPError):
            async with httpx2.AsyncClient(trust_env=False, timeout=_CONTROL_SECONDS) as http:
                await http.post(f"{self.url}/revoke", json=who.model_dump(), headers=headers)


@asynccontextmanager
async def access_to(
    servers: Servers, run_id: str, *, run_key: Secret | None, image: str, fixed_shares: bool
) -> AsyncIterator[Awaitable[Access]]:
    """Make the agents' access beside what the block does; a broker of our own ends with it.

    Parameters
    ----------
    servers
        With ``run_key`` the broker that agents go to, as the default one; else the servers that
        a broker of our own goes to.
    run_key
        Given by who has a broker: the key of the run ``run_id``.
    image
        What a broker of our own runs in.
    fixed_shares
        Whether such a broker leaves unused what ended attempts have not spent.
    """
    if run_key is None:
        making = asyncio.create_task(_own(servers, image, run_id, fixed_shares=fixed_shares))
    else:
        making = asyncio.create_task(_given(servers[DEFAULT_PROVIDER], run_key))
    try:
        yield making
    finally:
        making.cancel()
        await asyncio.wait([making])
        if run_key is None and not making.cancelled() and not making.exception():
            await _stop(making.result())


async def _given(server: ModelServer, run_key: Secret) -> Access:
    try:
        key = await run_key.plaintext()
    except dagger.QueryError as error:
        raise unusable("run_key", f"it cannot be read: {engine_message(error)}") from None
    return Access(key, MODEL_HOST, server.service)


async def _own(servers: Servers, image: str, run_id: str, *, fixed_shares: bool) -> Access:
    signing_secret, control_key = secrets.token_hex(32), secrets.token_hex(32)
    clouds = any(server.told.kind != "anthropic" for server in servers.values())
    own = {"signing_secret": signing_secret, "control_key": control_key}
    container = broker_image(image, clouds=clouds)
    broker = _broker(container, servers, own, fixed_shares=fixed_shares)
    try:
        # What is only bound starts after all else is ready, and ends when nobody is bound.
        broker = await broker.start()
        url = await broker.endpoint(port=_PORT, scheme="http")
    except dagger.ExecError as error:
        raise not_prepared(image, error) from None
    except dagger.QueryError as error:
        names = {name for server in servers.values() for name in server.secrets}
        problem = f"the broker that is given it cannot be started: {engine_message(error)}"
        raise unusable(" or ".join(sorted(names)) or "base_image", problem) from None
    control = Control(url, control_key)
    return Access(run_secret(signing_secret, run_id), _HOST, broker, control)


def _broker(
    container: Container, servers: Servers, own: Mapping[str, str], *, fixed_shares: bool
) -> Service:
    sources = {}
    for name, plaintext in own.items():
        file = f"{_SECRETS}/{name}"
        container = _with_secret(container, file, _secret(name, plaintext))
        sources[name] = {"file": file}
    providers = {}
    for name, server in servers.items():
        keys = {}
        for kind, secret in server.secrets.items():
            file = f"{_SECRETS}/{name}-{kind}"
            container = _with_secret(container, file, secret)
            if kind == "credentials":
                # Where the cloud's own library looks.
                container = container.with_env_variable(_CREDENTIALS[server.told.kind], file)
            else:
                keys[kind] = {"file": file}
        providers[name] = Provider.model_validate({**server.told.model_dump(), **keys})
        if server.service is not None:
            host = host_of(name, servers)
            container = container.with_service_binding(host, server.service)
    # Where no condition goes without a name, no token does.
    default = DEFAULT_PROVIDER if DEFAULT_PROVIDER in providers else next(iter(providers))
    given = {"providers": providers, "default_provider": default, "fixed_shares": fixed_shares}
    config = BrokerConfig.model_validate({**sources, **given})
    where = ["--host", "0.0.0.0", "--port", str(_PORT)]  # noqa: S104 - of its container
    argv = [*python("broker"), "--config", _CONFIG, *where]
    return (
        container.with_new_file(_CONFIG, config.model_dump_json(exclude_none=True))
        .with_user(_USER)
        .with_exposed_port(_PORT)
        # What it says on its standard output is for a gateway.
        .as_service(args=["sh", "-c", 'exec "$@" >/dev/null', "aideator", *argv])
    )


def _with_secret(container: Container, path: str, secret: Secret) -> Container:
    return container.with_mounted_secret(path, secret, owner=_USER, mode=0o400)


async def _stop(access: Access) -> None:
    # If it fails, the end of the session stops it.
    with suppress(dagger.QueryError):
        if access.service is not None:
            await access.service.stop(kill=True)


def _secret(name: str, plaintext: str) -> Secret:
    # The engine knows a secret by its name in the whole session.
    return dag.set_secret(f"aideator-{name}-{secrets.token_hex(8)}", plaintext)
