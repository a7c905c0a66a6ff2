"""Keys from where the configuration says that they are."""

import os
from collections.abc import MutableMapping
from dataclasses import dataclass, field

from aideator.protocol.broker import BrokerConfig, KeySource, Provider


class NoKeyError(Exception):
    """A key cannot be had or used; the text says why and never holds it."""


@dataclass(frozen=True)
class Keys:
    """The broker's own keys: what signs tokens, and what lets somebody control it over HTTP."""

    signing: str = field(repr=False)
    control: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Access:
    """A provider with the keys it needs, or what is wrong with it."""

    provider: Provider
    api_key: str | None = field(default=None, repr=False)
    auth_token: str | None = field(default=None, repr=False)
    problem: str | None = None
    """Why nothing can be asked of it, in one line."""


def key_of(source: KeySource) -> str:
    """Return a key.

    Raises
    ------
    NoKeyError
        It is not there, or cannot be sent.
    """
    if source.value is not None:
        where, key = "the configuration", source.value.get_secret_value()
    elif source.env is not None:
        where, key = f"the environment variable {source.env}", os.environ.get(source.env, "")
    else:
        where = f"the file {source.file}"
        try:
            # Files that people write end with a new line.
            key = source.file.read_text(encoding="utf-8").strip() if source.file else ""
        except (OSError, ValueError) as error:
            raise NoKeyError(f"{where} cannot be read ({type(error).__name__})") from None
    if not key:
        raise NoKeyError(f"{where} holds no key")
    if not (key.isascii() and key.isprintable() and key == key.strip()):
        raise NoKeyError(
            f"the key from {where} has white space around it, or characters that cannot be sent"
        )
    return key


def accesses(config: BrokerConfig) -> dict[str, Access]:
    """Return what is known of each provider, by name."""
    return {name: _access(provider) for name, provider in config.providers.items()}


def _access(provider: Provider) -> Access:
    try:
        api_key = key_of(provider.api_key) if provider.api_key else None
        auth_token = key_of(provider.auth_token) if provider.auth_token else None
    except NoKeyError as error:
        return Access(provider, problem=str(error))
    needs_key = provider.kind == "anthropic" and not provider.base_url
    if needs_key and not api_key and not auth_token:
        return Access(provider, problem="it has no key: give api_key or auth_token")
    return Access(provider, api_key, auth_token)


def forget_settings(environment: MutableMapping[str, str]) -> None:
    """Take the SDK's own settings out of the environment: only the configuration decides."""
    for name in list(environment):
        if name.startswith("ANTHROPIC_"):
            del environment[name]
