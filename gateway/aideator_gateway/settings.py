"""What the gateway is told from outside: flags, else environment variables, else defaults.

One table for all of it: the command's flags, the variables' names, the reference page and
``aideator config`` are made from the fields below.
"""

import ipaddress
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    model_validator,
)

from aideator.protocol import (
    DEFAULT_MODEL,
    DEFAULT_PROVIDER,
    DEFAULT_RUN_COST_USD,
    EditorTool,
    Secrets,
    check_server,
)
from aideator.protocol.commands import CHECK_SECONDS, MAX_SECONDS
from aideator.protocol.findings import findings
from aideator_gateway.addresses import (
    DEFAULT_HOSTS,
    check_host,
    check_origin,
    check_repository_host,
)
from aideator_gateway.hosting.limits import MOST_CONNECTIONS, ConnectionLimits
from aideator_gateway.providers import ConfigFileError, NamedProvider, read_providers

PREFIX = "AIDEATOR_"

CONFIG_FILE = "config.toml"
"""Name of the configuration file in the data directory."""

GIB = 1024**3

BackendName = Literal["auto", "dagger", "local"]


class SettingsError(Exception):
    """A setting that cannot be used; the text is for the person who set it."""


def default_data_dir() -> Path:
    """Return the directory for data where the user's system keeps such things."""
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "aideator"


def _absolute(path: Path) -> Path:
    """Return ``path`` as it is meant where it was given; sandboxes have other directories."""
    return path.expanduser().absolute()


def check_directory(text: str) -> str:
    """Return the absolute path of a directory of this machine.

    Raises
    ------
    ValueError
        If there is no such directory, or it is the root of all.
    """
    path = _absolute(Path(text))
    if not path.is_dir() or path == Path("/"):
        raise ValueError(f"{text!r:.200} is no directory below /")
    return str(path)


def _each(check: Callable[[str], str]) -> AfterValidator:
    """Check every item of a list."""
    return AfterValidator(lambda given: tuple(check(text) for text in given))


def _if_set(check: Callable[[str], str]) -> AfterValidator:
    return AfterValidator(lambda text: None if text is None else check(text))


def _setting(default: Any, description: str, *, also: str | None = None, flag: bool = True) -> Any:
    """Declare a setting: ``also`` is a second variable, ``flag`` whether it has a flag."""
    return Field(default, description=description, json_schema_extra={"also": also, "flag": flag})


class Settings(BaseModel):
    """Everything that can be set; frozen, read once."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    host: str = _setting("127.0.0.1", "Address to listen on; other than loopback needs a token.")
    port: Annotated[int, Field(ge=0, le=65535)] = _setting(
        8000, "Port to listen on; 0 takes a free one."
    )
    backend: BackendName = _setting(
        "auto",
        "Where variations run: in containers of a Dagger engine, in local sandboxes, or in "
        "whichever is there.",
    )
    module: str | None = _setting(
        None,
        "Path or git address of the Dagger module; else the repository this gateway runs from.",
    )
    data_dir: Annotated[Path, AfterValidator(_absolute)] = Field(
        default_factory=default_data_dir,
        description="Directory of the database and of running sandboxes.",
        json_schema_extra={"also": None, "flag": True},
    )
    config_file: Annotated[Path | None, AfterValidator(lambda path: path and _absolute(path))] = (
        _setting(
            None,
            "TOML file with a table [providers.NAME] for each model server that conditions may "
            f"name; else {CONFIG_FILE} in the data directory, if it is there.",
        )
    )
    demo: bool = _setting(False, "Use the scripted demo model, which is no LLM and costs nothing.")
    demo_tokens_per_second: Annotated[float, Field(gt=0)] = _setting(
        25.0, "Pace of the scripted demo model."
    )
    token: SecretStr | None = _setting(
        None, "Bearer token that every request must carry.", flag=False
    )
    trusted_host: Annotated[tuple[str, ...], _each(check_host)] = _setting(
        (), "Another name this server is called by (Host header); may be given again."
    )
    allow_origin: Annotated[tuple[str, ...], _each(check_origin)] = _setting(
        (),
        "Origin of a web page that may call the API, such as http://localhost:5173; may be given "
        "again.",
    )
    allow_host: Annotated[tuple[str, ...], _each(check_repository_host)] = _setting(
        (), "Another host that repositories may come from; may be given again."
    )
    allow_file: bool = _setting(False, "Allow file:// repositories from this machine's disk.")
    max_repo_bytes: Annotated[int, Field(ge=1)] = _setting(
        2 * GIB, "Bytes that the files of a commit may have, and that may be fetched for it."
    )
    max_repo_files: Annotated[int, Field(ge=1)] = _setting(
        200_000, "Files and directories that a commit may have."
    )
    max_cache_bytes: Annotated[int, Field(ge=0)] = _setting(
        10 * GIB,
        "Bytes of disk for commits that are kept so that later runs need not fetch them; the "
        "longest unused go first. What runs use now is kept in any case.",
    )
    model: str = _setting(DEFAULT_MODEL, "Model that variations use unless their condition says.")
    base_url: Annotated[str | None, _if_set(check_server)] = _setting(
        None, "Server that speaks the Messages API; else Anthropic's.", also="ANTHROPIC_BASE_URL"
    )
    editor_tool: EditorTool = _setting(
        "native", "Anthropic's own editor tool, or the same with a plain schema for other servers."
    )
    api_key: SecretStr | None = _setting(
        None, "Key of the model's server.", also="ANTHROPIC_API_KEY", flag=False
    )
    auth_token: SecretStr | None = _setting(
        None, "Bearer token of the model's server.", also="ANTHROPIC_AUTH_TOKEN", flag=False
    )
    max_run_cost_usd: Annotated[float, Field(gt=0)] = _setting(
        DEFAULT_RUN_COST_USD, "Spending cap of a run in US dollars, unless the run sets one."
    )
    max_day_cost_usd: Annotated[float | None, Field(gt=0)] = _setting(
        None, "Spending cap of all runs of a day (UTC) in US dollars."
    )
    fixed_shares: bool = _setting(
        False,
        "Leave unused what ended attempts left of their run's cap, to compare on equal terms; else "
        "attempts that still work share it.",
    )
    check_seconds: Annotated[int, Field(ge=1, le=MAX_SECONDS)] = _setting(
        CHECK_SECONDS, "Seconds after which the check of a result is stopped."
    )
    check_network: bool = _setting(
        False, "Let checks of the local backend reach the network. No request can ask for it."
    )
    check_path: Annotated[tuple[str, ...], _each(check_directory)] = _setting(
        (),
        "Another directory that checks of the local backend can read, such as a toolchain's; may "
        "be given again.",
    )
    check_unsandboxed: bool = _setting(
        False,
        "Where bubblewrap does not work, run checks of the local backend as plain processes: they "
        "can do what this user can do. No request can ask for it.",
    )
    max_concurrent_requests: Annotated[int | None, Field(ge=1)] = _setting(
        None, "Requests to the model's server at once, of all runs; else as many as come."
    )
    max_concurrent_runs: Annotated[int, Field(ge=1, le=64)] = _setting(
        4, "Runs that work at once; more wait as pending."
    )
    keep_days: Annotated[float | None, Field(gt=0)] = _setting(
        None, "Days after their end that runs are kept; else for good."
    )
    keep_bytes: Annotated[int | None, Field(ge=0)] = _setting(
        None, "Bytes that the database may use before the oldest ended runs are removed; else all."
    )

    log_format: Literal["text", "json"] = _setting(
        "text", "How the log is written: for people, or as an object of JSON a line."
    )
    log_level: Literal["debug", "info", "warning", "error"] = _setting(
        "info", "Least level of what is logged."
    )
    max_pending_runs: Annotated[int, Field(ge=0, le=100_000)] = _setting(
        100, "Runs that may wait for their turn; more are refused."
    )
    max_pending_bytes: Annotated[int, Field(ge=0)] = _setting(
        64 * 2**20, "Bytes that the prompts of runs which wait may have together."
    )
    max_downloads: Annotated[int, Field(ge=1, le=1000)] = _setting(
        8, "Patches and transcripts that are sent at once; more wait."
    )
    max_connections: Annotated[int | None, Field(ge=1)] = _setting(
        None,
        "Connections at once; else as many as the limit of open files leaves room for, up to "
        f"{MOST_CONNECTIONS}.",
    )
    keep_alive_seconds: Annotated[int, Field(ge=1, le=3600)] = _setting(
        ConnectionLimits.keep_alive_seconds,
        "Seconds that a connection may be silent before a request.",
    )
    header_seconds: Annotated[int, Field(ge=1, le=3600)] = _setting(
        ConnectionLimits.header_seconds, "Seconds that the head of a request may take."
    )
    body_seconds: Annotated[int, Field(ge=1, le=3600)] = _setting(
        ConnectionLimits.body_seconds, "Seconds that the body of a request may take."
    )
    send_seconds: Annotated[int, Field(ge=1, le=3600)] = _setting(
        ConnectionLimits.send_seconds,
        "Seconds after which a client is cut off that takes nothing of what it is sent.",
    )
    min_free_bytes: Annotated[int, Field(ge=0)] = _setting(
        256 * 2**20, "Free bytes of the data directory's disk below which no run is started."
    )
    ceiling_run_cost_usd: Annotated[float | None, Field(gt=0)] = _setting(
        None, "Highest max_run_cost_usd that a run may set."
    )
    ceiling_turns: Annotated[int | None, Field(ge=1)] = _setting(
        None, "Highest max_turns that a run may set."
    )
    ceiling_tokens: Annotated[int | None, Field(ge=1)] = _setting(
        None, "Highest max_tokens that a run may set."
    )
    ceiling_seconds: Annotated[float | None, Field(gt=0)] = _setting(
        None, "Highest max_seconds that a run may set."
    )
    ceiling_retries: Annotated[int | None, Field(ge=0)] = _setting(
        None, "Highest max_retries that a run may set."
    )

    _providers: dict[str, NamedProvider] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _token_off_loopback(self) -> Self:
        if not is_loopback(self.host) and self.token is None:
            raise ValueError(
                f"{self.host} can be reached by others: set {PREFIX}TOKEN to a secret that "
                "callers send as a bearer token, or listen on 127.0.0.1"
            )
        return self

    @classmethod
    def load(cls, flags: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> Self:
        """Read the settings: flags first, then variables, then defaults.

        Raises
        ------
        SettingsError
            If a value cannot be used, naming where it came from.
        """
        environ = os.environ if environ is None else environ
        values, sources = cls.gather(flags, environ)
        try:
            settings = cls.model_validate(values)
            settings._providers = settings._read_providers(environ)
            return settings  # noqa: TRY300
        except ConfigFileError as error:
            where = sources.get("config_file")
            raise SettingsError(f"{where}: {error}" if where else str(error)) from None
        except ValidationError as error:
            found = findings(error, cls)[0]
            where = sources.get(str(found.path[0])) if found.path else None
            message = found.message
            raise SettingsError(f"{where}: {message}" if where else message) from None

    @classmethod
    def gather(
        cls, flags: Mapping[str, Any], environ: Mapping[str, str]
    ) -> tuple[dict[str, Any], dict[str, str]]:
        """Return the values that are set, and the flag or variable that set each."""
        values: dict[str, Any] = {}
        sources: dict[str, str] = {}
        for name, field in cls.model_fields.items():
            given = flags.get(name)
            if given is not None and given != ():
                values[name], sources[name] = given, "--" + name.replace("_", "-")
                continue
            for variable in cls.variables(name):
                text = environ.get(variable)
                if text:
                    many = field.annotation == tuple[str, ...]
                    values[name] = tuple(text.replace(",", " ").split()) if many else text
                    sources[name] = variable
                    break
        return values, sources

    @classmethod
    def variables(cls, name: str) -> list[str]:
        """Return the environment variables of a setting, the first one going first."""
        also = cls.declared(name)["also"]
        return [PREFIX + name.upper(), *([also] if also else [])]

    @classmethod
    def declared(cls, name: str) -> dict[str, Any]:
        """Return what the field's declaration says beyond its type."""
        extra = cls.model_fields[name].json_schema_extra
        return extra if isinstance(extra, dict) else {"also": None, "flag": True}

    def _read_providers(self, environ: Mapping[str, str]) -> dict[str, NamedProvider]:
        path = self.providers_file
        return read_providers(path, environ) if path else {}

    @property
    def providers_file(self) -> Path | None:
        """The configuration file: as named, else the one in the data directory."""
        usual = self.data_dir / CONFIG_FILE
        return self.config_file or (usual if usual.is_file() else None)

    @property
    def providers(self) -> Mapping[str, NamedProvider]:
        """Model servers that conditions may name, beside the default one; the demo has none."""
        return {} if self.demo else self._providers

    def key_problem(self, provider: str | None) -> str | None:
        """Return why a provider cannot be asked as far as its key goes, as a sentence."""
        if named := self.providers.get(provider or DEFAULT_PROVIDER):
            return named.problem and f"The provider {provider} cannot be asked: {named.problem}."
        if self.has_credentials or self.base_url is not None:
            return None
        return "The gateway has no API key for Anthropic's API."

    @property
    def key_variables(self) -> frozenset[str]:
        """Environment variables that hold providers' keys, which are nobody else's business."""
        # Also in the demo: they are set all the same.
        return frozenset(name for one in self._providers.values() for name in one.variables)

    @property
    def styles_dir(self) -> Path:
        """Directory of the styles that this user has added, one Markdown file each."""
        return self.data_dir / "styles"

    @property
    def repository_hosts(self) -> frozenset[str]:
        """Hosts that repositories may come from."""
        return frozenset((*DEFAULT_HOSTS, *(host.lower() for host in self.allow_host)))

    @property
    def server_hosts(self) -> frozenset[str]:
        """Names in the Host header that are this server's own."""
        names = {"localhost", "127.0.0.1", "[::1]", *(h.lower() for h in self.trusted_host)}
        if self.host not in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
            names.add(f"[{self.host}]" if ":" in self.host else self.host.lower())
        return frozenset(names)

    @property
    def scripted(self) -> bool:
        """Whether the model is the scripted stand-in."""
        return self.demo

    @property
    def has_credentials(self) -> bool:
        """Whether a key or a token for the model's server is set."""
        return self.api_key is not None or self.auth_token is not None

    @property
    def secrets(self) -> Secrets:
        """Keys of the model servers, which no result may hold."""
        return Secrets(self._keys())

    @property
    def unsaid(self) -> Secrets:
        """What no log may say: keys of the model servers, and the gateway's own token."""
        return Secrets([*self._keys(), *_values(self.token)])

    def _keys(self) -> list[str]:
        own = ((one.api_key, one.auth_token) for one in self._providers.values())
        return _values(self.api_key, self.auth_token, *(key for keys in own for key in keys))


def _values(*secrets: SecretStr | None) -> list[str]:
    return [secret.get_secret_value() for secret in secrets if secret]


def without_ours(environ: Mapping[str, str]) -> dict[str, str]:
    """Return ``environ`` without what is the gateway's own, its secrets among it.

    For the user's own tools, which are told nothing else than by the user.
    """
    return {
        name: value
        for name, value in environ.items()
        if not name.startswith((PREFIX, "ANTHROPIC_"))
    }


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
