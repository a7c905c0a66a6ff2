"""Model servers that attempts may ask, as a caller of the module names them."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import get_args
from urllib.parse import urlsplit

import dagger
from dagger import Secret, Service

from aideator.errors import engine_message, parsed, unusable, validated
from aideator.protocol import (
    DEFAULT_PROVIDER,
    MODEL_HOST,
    EditorTool,
    ErrorCode,
    KnownProvider,
    check_server,
    is_provider_name,
)
from aideator.protocol.addresses import shown
from aideator.protocol.broker import ModelServer as Settings
from aideator.protocol.prices import PricesByModel

_NEEDED = {
    "anthropic": ("api_key", "or an auth_token, or a server of your own as base_url or service"),
    "bedrock": ("credentials", "a file of AWS credentials, or an api_key of Bedrock's"),
    "vertex": ("credentials", "the JSON of a service account, or an access token as auth_token"),
}
"""By kind: what opens a server of it, for who gave nothing."""


@dataclass(frozen=True)
class ModelServer:
    """A server that speaks the Messages API, and what opens it.

    Attributes
    ----------
    base_url
        ``None`` is the address that its kind has.
    service
        What ``base_url`` leads to, if that is a service.
    credentials
        A file of a cloud's.
    settings
        The rest of what a broker has to know of it, as JSON.
    """

    base_url: str | None = None
    service: Service | None = None
    api_key: Secret | None = field(default=None, repr=False)
    auth_token: Secret | None = field(default=None, repr=False)
    credentials: Secret | None = field(default=None, repr=False)
    editor_tool: str = "native"
    settings: str = "{}"

    @property
    def told(self) -> Settings:
        """What a broker has to know of it, but for what opens it."""
        said = Settings.model_validate_json(self.settings)
        return said.model_copy(update={"base_url": self.base_url})

    @property
    def known(self) -> KnownProvider:
        """What an attempt has to know of it."""
        fields = {"editor_tool": self.editor_tool, "prices": self.told.prices}
        return KnownProvider.model_validate(fields)

    @property
    def secrets(self) -> dict[str, Secret]:
        """What opens it, by the names of the arguments."""
        given = {
            "api_key": self.api_key,
            # Of the two, a key goes first.
            "auth_token": None if self.api_key else self.auth_token,
            "credentials": self.credentials,
        }
        return {name: secret for name, secret in given.items() if secret is not None}

    @property
    def has_address(self) -> bool:
        """Whether it is another server than its kind's own."""
        return self.base_url is not None or self.service is not None


def host_of(name: str, names: Collection[str]) -> str:
    """Return what a broker calls the service that one of several providers is."""
    # A provider's name may have what a host's may not.
    return MODEL_HOST if name == DEFAULT_PROVIDER else f"{MODEL_HOST}-{sorted(names).index(name)}"


def named(
    name: str,
    others: Mapping[str, ModelServer],
    server: ModelServer,
    *,
    kind: str,
    region: str | None,
    project: str | None,
    prices: str | None,
    max_concurrent: int | None,
) -> ModelServer:
    """Return a server as a caller has described it, with all looked at that can be told at once.

    Parameters
    ----------
    others
        Those that there are already, by name.

    Raises
    ------
    FunctionError
        Something of it cannot be used.
    """
    if name == DEFAULT_PROVIDER or not is_provider_name(name):
        form = "use lower-case letters, digits, - and _, 40 of them at most"
        raise unusable("name", f"{name!r:.60}: {form}; {DEFAULT_PROVIDER} is the unnamed one.")
    if name in others:
        raise unusable("name", f"there is a {name!r} already; use another one.")
    _check_address(server.base_url)
    if server.base_url is not None and server.service is not None:
        raise unusable("service", "it has an address of its own; leave out base_url.")
    for argument, value in _needed_of(kind, region=region, project=project).items():
        if value is None:
            raise unusable(argument, f"a provider of the kind {kind} needs one.")
    validated(KnownProvider, editor_tool=server.editor_tool)
    settings = validated(
        Settings,
        kind=kind,
        region=region,
        project=project,
        prices=parsed(PricesByModel, "prices", prices).root if prices else {},
        max_concurrent=max_concurrent,
    )
    if server.credentials is not None and kind == "anthropic":
        raise unusable("credentials", "these are a cloud's; set kind to bedrock or vertex.")
    if server.credentials and any(o.credentials and o.told.kind == kind for o in others.values()):
        raise unusable("credentials", f"only one provider of the kind {kind} can have such a file.")
    if not server.secrets and not (kind == "anthropic" and server.has_address):
        argument, remedy = _NEEDED[kind]
        raise unusable(argument, f"there is none; give {remedy}.", ErrorCode.MISSING_API_KEY)
    return replace(server, settings=settings.model_dump_json(exclude_none=True))


def _needed_of(kind: str, **given: str | None) -> dict[str, str | None]:
    names = {"bedrock": ["region"], "vertex": ["region", "project"]}.get(kind, [])
    return {name: given[name] for name in names}


def check_default(server: ModelServer, *, run_key: Secret | None, run_id: str | None) -> None:
    """Look at the server that is asked where a condition names none.

    Raises
    ------
    FunctionError
        There is no server and no key, or one of them cannot be used.
    """
    if server.editor_tool not in get_args(EditorTool):
        raise unusable("editor_tool", f"{server.editor_tool!r} is neither native nor plain.")
    _check_address(server.base_url)
    if run_key is not None:
        _check_run_key(server, run_id)
    elif not server.has_address and not server.secrets:
        raise unusable(
            "api_key",
            "there is none; give --api-key=env://ANTHROPIC_API_KEY, or a model server of "
            "your own with --base-url or --model-service.",
            ErrorCode.MISSING_API_KEY,
        )


async def located(servers: Mapping[str, ModelServer]) -> dict[str, ModelServer]:
    """Return servers by name, each with the address that its service has.

    Raises
    ------
    FunctionError
        A service cannot be used.
    """
    found = await asyncio.gather(*(_located(n, s, servers) for n, s in servers.items()))
    return dict(zip(servers, found, strict=True))


async def _located(name: str, server: ModelServer, names: Collection[str]) -> ModelServer:
    if server.base_url is not None or server.service is None:
        return server
    argument = "model_service" if name == DEFAULT_PROVIDER else f"service of {name}"
    try:
        # Only a service that runs says where; who goes there would start it a moment later.
        ports = await (await server.service.start()).ports()
    except dagger.QueryError as error:
        raise unusable(argument, f"it cannot be started: {engine_message(error)}") from None
    if not ports:
        raise unusable(argument, "it exposes no port; expose one, or give --base-url.")
    return replace(server, base_url=f"http://{host_of(name, names)}:{await ports[0].port()}")


def _check_address(base_url: str | None) -> None:
    if base_url is None:
        return
    try:
        check_server(base_url)
    except ValueError as error:
        raise unusable("base_url", f"{shown(base_url)!r:.200}: {error}.") from None
    if "@" in urlsplit(base_url).netloc:
        problem = f"{shown(base_url)!r:.200}: the engine's traces would show the password."
        raise unusable("base_url", problem)


def _check_run_key(server: ModelServer, run_id: str | None) -> None:
    if server.secrets:
        problem = "the broker that it opens has keys of its own; leave out api_key and auth_token."
        raise unusable("run_key", problem)
    if not server.has_address:
        problem = "say with --base-url or --model-service where the broker is that it opens."
        raise unusable("run_key", problem)
    if run_id is None:
        raise unusable("run_key", "name the run that run_key is the key of.")
