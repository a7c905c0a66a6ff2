"""Named model servers: the tables ``[providers.NAME]`` of a configuration file.

The file never holds a key. It says which environment variable does, so that it can be shown,
copied and kept in a repository.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, SecretStr, ValidationError

from aideator.protocol import DEFAULT_PROVIDER, EditorTool, KnownProvider, is_provider_name
from aideator.protocol.broker import ModelServer
from aideator.protocol.findings import findings

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


class ConfigFileError(Exception):
    """The file cannot be used; the text is one line, and repeats no value."""


def _variable(name: str) -> str:
    # Somebody may have put the key itself there: it is not repeated.
    if not _VARIABLE.fullmatch(name):
        raise ValueError("Use the name of an environment variable; no key belongs in this file")
    return name


Variable = Annotated[str, AfterValidator(_variable)]


class _Table(ModelServer):
    """One ``[providers.NAME]``."""

    api_key_env: Variable | None = None
    auth_token_env: Variable | None = None
    editor_tool: EditorTool = "native"


def _variables(table: _Table) -> list[str]:
    return [name for name in (table.api_key_env, table.auth_token_env) if name]


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    providers: dict[str, _Table] = {}


@dataclass(frozen=True)
class NamedProvider:
    """A model server of the configuration file, with its key.

    Attributes
    ----------
    problem
        Why nothing can be asked of it, as far as is known without asking.
    """

    table: _Table
    api_key: SecretStr | None = None
    auth_token: SecretStr | None = None
    problem: str | None = None

    @classmethod
    def of(cls, table: _Table, environ: Mapping[str, str]) -> Self:
        """Return the provider with the keys that the environment holds."""
        names = _variables(table)
        # Of the two, a key goes first.
        key = environ.get(table.api_key_env or "")
        token = None if key else environ.get(table.auth_token_env or "")
        problem = None
        if names and not key and not token:
            problem = f"the environment variable {' or '.join(names)} holds no key"
        elif not names and table.kind == "anthropic" and table.base_url is None:
            problem = "it has no key: name its variable with api_key_env or auth_token_env"
        return cls(
            table,
            SecretStr(key) if key else None,
            SecretStr(token) if token else None,
            problem,
        )

    @property
    def variables(self) -> list[str]:
        """Names of the environment variables that may hold its key."""
        return _variables(self.table)

    @property
    def known(self) -> KnownProvider:
        """What an attempt has to know of it."""
        return KnownProvider(editor_tool=self.table.editor_tool, prices=self.table.prices)

    @property
    def server(self) -> dict[str, Any]:
        """What a broker has to know of it, but for its key."""
        names = set(ModelServer.model_fields)
        return self.table.model_dump(mode="json", include=names, exclude_none=True)


def read_providers(path: Path, environ: Mapping[str, str]) -> dict[str, NamedProvider]:
    """Return the providers of a configuration file, by name.

    Raises
    ------
    ConfigFileError
        If it cannot be read, or says something that cannot be used.
    """
    try:
        held = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigFileError(f"{path} cannot be read ({error.strerror}).") from None
    except ValueError as error:
        raise ConfigFileError(f"{path} is not TOML: {error}.") from None
    for name in held:
        if name != "providers":
            raise ConfigFileError(
                f"{path}: {name!r:.60} is not known; the file holds tables [providers.NAME], and "
                "all else is set by flags and environment variables."
            )
    try:
        tables = _File.model_validate(held).providers
    except ValidationError as error:
        raise ConfigFileError(f"{path}: {findings(error, _File)[0]}") from None
    for name in tables:
        if name == DEFAULT_PROVIDER:
            raise ConfigFileError(
                f"{path}: providers.{name}: This is the name of the server that --base-url and "
                "ANTHROPIC_API_KEY set; use another one."
            )
        if not is_provider_name(name):
            raise ConfigFileError(
                f"{path}: providers.{name!r:.60}: Use lower-case letters, digits, - and _, 40 of "
                "them at most."
            )
    return {name: NamedProvider.of(table, environ) for name, table in tables.items()}
