"""How agents reach the model: a broker that holds the key, and a token for each agent."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import dagger
from dagger import Container, Secret, Service, dag

from aideator.containers import broker_image, not_prepared, python
from aideator.errors import engine_message, unusable
from aideator.protocol import MODEL_HOST
from aideator.protocol.broker import BrokerConfig, KeySource, Provider
from aideator.protocol.commands import NOBODY
from aideator.protocol.tokens import Grant, run_secret, token_for

_HOST = "broker"
_PORT = 8080
BROKER_URL = f"http://{_HOST}:{_PORT}"
"""Where agents find the module's own broker."""

_SECRETS = "/run/secrets"
_CONFIG = "/aideator/broker.json"
# Not the agents': a limit on processes counts all that one user id has on the machine.
_USER = f"{NOBODY - 1}:{NOBODY - 1}"


@dataclass(frozen=True)
class ModelServer:
    """A server that speaks the Messages API, and what opens it.

    Attributes
    ----------
    base_url
        ``None`` is Anthropic's own.
    service
        What ``base_url`` leads to, if that is a service.
    """

    base_url: str | None
    service: Service | None
    api_key: Secret | None = field(default=None, repr=False)
    auth_token: Secret | None = field(default=None, repr=False)


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

    def token(self, grant: Grant) -> Secret:
        """Return the token of one attempt."""
        return _secret("token", token_for(self.run_key, grant))


@asynccontextmanager
async def access_to(
    server: ModelServer, run_id: str, *, run_key: Secret | None, image: str
) -> AsyncIterator[Awaitable[Access]]:
    """Make the agents' access beside what the block does; a broker of our own ends with it.

    Parameters
    ----------
    server
        With ``run_key`` the broker that agents go to, else the server that a broker of our
        own goes to.
    run_key
        Given by who has a broker: the key of the run ``run_id``.
    image
        What a broker of our own runs in.
    """
    work = _own(server, image, run_id) if run_key is None else _given(server, run_key)
    making = asyncio.create_task(work)
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


async def _own(server: ModelServer, image: str, run_id: str) -> Access:
    signing_secret = secrets.token_hex(32)
    broker = _broker(broker_image(image), server, signing_secret)
    try:
        # What is only bound starts after all else is ready, and ends when nobody is bound.
        broker = await broker.start()
    except dagger.ExecError as error:
        raise not_prepared(image, error) from None
    except dagger.QueryError as error:
        argument = "api_key" if server.api_key else "auth_token"
        problem = f"the broker that is given it cannot be started: {engine_message(error)}"
        raise unusable(argument, problem) from None
    return Access(run_secret(signing_secret, run_id), _HOST, broker)


def _broker(container: Container, server: ModelServer, signing_secret: str) -> Service:
    given = {
        "signing_secret": _secret("signing-secret", signing_secret),
        "api_key": server.api_key,
        # Of the two, a key goes first.
        "auth_token": None if server.api_key else server.auth_token,
    }
    files: dict[str, KeySource] = {}
    for name, secret in given.items():
        if secret is not None:
            path = f"{_SECRETS}/{name}"
            container = container.with_mounted_secret(path, secret, owner=_USER, mode=0o400)
            files[name] = KeySource.model_validate({"file": path})
    provider = Provider(
        base_url=server.base_url,
        api_key=files.get("api_key"),
        auth_token=files.get("auth_token"),
    )
    config = BrokerConfig(
        signing_secret=files["signing_secret"],
        providers={"default": provider},
        default_provider="default",
    )
    if server.service is not None:
        container = container.with_service_binding(MODEL_HOST, server.service)
    where = ["--host", "0.0.0.0", "--port", str(_PORT)]  # noqa: S104 - of its container
    argv = [*python("broker"), "--config", _CONFIG, *where]
    return (
        container.with_new_file(_CONFIG, config.model_dump_json(exclude_none=True))
        .with_user(_USER)
        .with_exposed_port(_PORT)
        # What it says on its standard output is for a gateway.
        .as_service(args=["sh", "-c", 'exec "$@" >/dev/null', "aideator", *argv])
    )


async def _stop(access: Access) -> None:
    # If it fails, the end of the session stops it.
    with suppress(dagger.QueryError):
        if access.service is not None:
            await access.service.stop(kill=True)


def _secret(name: str, plaintext: str) -> Secret:
    # The engine knows a secret by its name in the whole session.
    return dag.set_secret(f"aideator-{name}-{secrets.token_hex(8)}", plaintext)
