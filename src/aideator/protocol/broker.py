"""How the broker is configured, and what it and the program that started it say to each other.

The configuration is one JSON document, the first line of the broker's standard input or a
file. Later lines of its input are ``Control`` messages. What the broker says are lines of
JSON on standard output, each an object with one key:

``ready``
    It listens: ``{"ready": true, "socket": …, "port": …, "providers": {…}}``, with each
    provider's problem, or null.
``spent``
    After each answer: run, variation, provider, model, tokens, and US dollars or null.
``refused``
    At most once a second: how many requests were refused since the last such line, by cause.
``revoked``
    The answer to ``revoke``: run, variation, and what it has spent in all.
``report``
    The answer to ``report``: how many requests were refused, by cause, and how many run.
``error``
    A line of its input was no message.

A broker that is started again remembers nothing. Whoever starts it keeps what ``spent`` and
``revoked`` lines said of runs that still work, and gives it back in ``spent`` and ``revoked``.
"""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from aideator.protocol.addresses import SERVER_FORM, is_server
from aideator.protocol.prices import Dollars, Price

MAX_SOCKET_PATH_BYTES = 100
"""Below what systems allow for a Unix socket's path: 108 on Linux, 104 on macOS."""

_STRICT = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

Seconds = Annotated[float, Field(gt=0, le=86_400)]


class KeySource(BaseModel):
    """Where a secret is: here, in a variable of the environment, or in a file."""

    model_config = _STRICT

    value: SecretStr | None = None
    env: str | None = Field(default=None, min_length=1)
    file: Path | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(source is not None for source in (self.value, self.env, self.file)) != 1:
            raise ValueError("Give exactly one of value, env and file")
        return self


class ModelServer(BaseModel):
    """A server of models, or a cloud's door to one, but for its key."""

    model_config = _STRICT

    kind: Literal["anthropic", "bedrock", "vertex"] = "anthropic"
    base_url: str | None = None
    """Default: the kind's own address. What the environment says is not looked at."""
    region: str | None = None
    """Of Bedrock and Vertex."""
    project: str | None = None
    """Of Vertex."""
    prices: dict[str, Price] = {}
    """By model; go before the table of known prices."""
    max_concurrent: int | None = Field(default=None, ge=1)
    """Requests at once."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.base_url is not None and not is_server(self.base_url):
            raise ValueError(f"base_url: use the form {SERVER_FORM}")
        if self.kind != "anthropic" and not self.region:
            raise ValueError(f"A provider of the kind {self.kind} needs a region")
        if self.kind == "vertex" and not self.project:
            raise ValueError("A provider of the kind vertex needs a project")
        return self


class Provider(ModelServer):
    """A model server with its key."""

    api_key: KeySource | None = None
    auth_token: KeySource | None = None
    """Sent as a bearer token in place of a key; for Vertex, the access token."""

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        if self.api_key and self.auth_token:
            raise ValueError("Give api_key or auth_token, not both")
        return self


class Bounds(BaseModel):
    """What callers may take."""

    model_config = _STRICT

    body_bytes: int = Field(default=32 * 1024 * 1024, ge=1)
    """Longest request; the default is the Messages API's own limit."""
    body_seconds: Seconds = 30.0
    """How long a request's body may take to arrive."""
    idle_seconds: Seconds = 10.0
    """How long a connection may stay open without a whole request head, and how long a
    caller may leave what it is sent unread times six."""
    waiting_connections: int = Field(default=256, ge=1)
    """Connections at once without a request; one more closes the one that waits longest."""
    requests_of_a_variation: int = Field(default=4, ge=1)
    """Requests at once."""
    connect_seconds: Seconds = 10.0
    """How long it may take to reach a model's server."""
    silence_seconds: Seconds = 600.0
    """How long a model's server may send nothing; agents give up earlier by themselves."""


class Pacing(BaseModel):
    """How requests are held back where a provider limits them."""

    model_config = _STRICT

    hold_seconds: float = Field(default=0.3, ge=0)
    """A wait up to this is waited here; a longer one is the agent's, who is told."""
    stagger_seconds: float = Field(default=0.15, ge=0)
    """Until a provider has answered a few requests, the next one follows once the one before
    is answered, or has been under way for this long."""
    successes: int = Field(default=3, ge=1)
    """In a row, until requests are no longer sent one at a time."""
    unexplained: int = Field(default=5, ge=0)
    """Refusals in a row that do not say how long to wait, before agents are shown one."""
    longest_seconds: Seconds = 300.0
    """Longest wait that a server's answer can impose."""


class Of(BaseModel):
    """One variation of one run."""

    model_config = _STRICT

    run: str
    variation: int


class Spent(Of):
    """What a variation has spent before, in US dollars."""

    usd: Dollars


class BrokerConfig(BaseModel):
    """The whole configuration."""

    model_config = _STRICT

    signing_secret: KeySource
    control_key: KeySource | None = None
    """Opens ``POST /revoke``, whose body is an ``Of``, for who started the broker and cannot
    write to its input. It is sent as a bearer token."""
    providers: dict[str, Provider] = Field(min_length=1)
    default_provider: str
    bounds: Bounds = Bounds()
    pacing: Pacing = Pacing()
    fixed_shares: bool = False
    """Whether what ended attempts left over stays unused, for comparisons on equal terms."""
    day_limit_usd: Dollars | None = None
    """No request is sent once all answers since the broker's start have cost this."""
    revoked: tuple[Of, ...] = ()
    spent: tuple[Spent, ...] = ()

    @model_validator(mode="after")
    def _default(self) -> Self:
        if self.default_provider not in self.providers:
            raise ValueError(f"default_provider: there is only {', '.join(self.providers)}")
        return self


class Control(BaseModel):
    """One message to a broker at work; any of its parts may be given."""

    model_config = _STRICT

    revoke: Of | None = None
    """The attempt has ended: its token opens nothing more, and what it left over is shared."""
    day_limit_usd: Dollars | None = None
    """What is left of the day's cap, added to what all answers since the broker's start have
    cost: so it holds also while the lines about the last of them are on their way."""
    report: bool = False
    stop: bool = False
