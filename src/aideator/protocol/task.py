"""What an agent is asked to do, and under which conditions."""

import re
from typing import Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    RootModel,
    ValidationInfo,
    field_validator,
    model_validator,
)

from aideator.protocol.limits import MAX_TOKENS, Limits, VariationLimits
from aideator.protocol.prices import Price
from aideator.protocol.styles import MAX_STYLE_CHARACTERS, NAME_PATTERN, Styles, is_style_name

DEFAULT_MODEL = "claude-sonnet-5-5"

EditorTool = Literal["native", "plain"]
"""``native`` is Anthropic's own text-editor tool; ``plain`` is the same tool with an
ordinary schema, for other servers that speak the Messages API."""

DEFAULT_PROVIDER = "default"
"""Name of the model server that is asked where a condition names none."""

_PROVIDER_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}", re.ASCII)


def is_provider_name(name: str) -> bool:
    """Return whether a model server can have this name."""
    return _PROVIDER_NAME.fullmatch(name) is not None


Effort = Literal["low", "medium", "high", "xhigh", "max"]


class Condition(BaseModel):
    """What sets one variation apart from its siblings. Every field is optional.

    A style is known by its name when a condition is first read, and carries its text from
    then on: no reader further on needs the file, and a run can be understood after the file
    has changed. Validate with ``Styles`` as the context to know more than the shipped ones.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str | None = Field(
        default=None, max_length=80, description="A short name for people to tell it by."
    )
    model: str | None = Field(
        default=None, min_length=1, max_length=200, description="Model id; else the default."
    )
    provider: str | None = Field(
        default=None,
        min_length=1,
        max_length=40,
        description="Model server to ask, by its name in the server's configuration file.",
    )
    instructions: str | None = Field(
        default=None, max_length=100_000, description="Added to the agent's system prompt."
    )
    # Before the style, whose validator looks at it.
    style_text: str | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_STYLE_CHARACTERS,
        description="What the style says; filled in where the style is known by its name.",
    )
    style: str | None = Field(
        default=None,
        description="Name of a style: smallest, thorough, test-first, or one of your own.",
        json_schema_extra={"pattern": NAME_PATTERN},
    )
    temperature: float | None = Field(
        default=None,
        strict=True,
        allow_inf_nan=False,
        ge=0,
        le=1,
        description="Sampling temperature, for models that take one.",
    )
    effort: Effort | None = Field(
        default=None, description="How much work the model puts in, for models that take it."
    )
    thinking_tokens: int | None = Field(
        default=None,
        strict=True,
        ge=1024,
        le=MAX_TOKENS,
        description="Thinking budget, for models that take one.",
    )
    limits: VariationLimits | None = Field(
        default=None, description="Limits of this variation that go before the run's."
    )

    @property
    def name(self) -> str | None:
        """What people call it: its label, else its style."""
        return self.label or self.style

    def details(self) -> dict[str, str]:
        """Return what is set beyond label and model, for people to read."""
        found = self.model_dump(exclude_none=True, exclude={"label", "model"})
        limits = found.pop("limits", {})
        texts = {name: found.pop(name) for name in ("style_text", "instructions") if name in found}
        return {name: str(value) for name, value in {**found, **limits, **texts}.items()}

    @model_validator(mode="before")
    @classmethod
    def _with_style_text(cls, data: Any, info: ValidationInfo) -> Any:
        if isinstance(data, dict) and data.get("style_text") is None:
            name = data.get("style")
            text = _known(info).text(name) if isinstance(name, str) else None
            return {**data, "style_text": text} if text else data
        return data

    @field_validator("style", mode="after")
    @classmethod
    def _style_is_known(cls, name: str | None, info: ValidationInfo) -> str | None:
        # A text that cannot be used is missing here, and has an error of its own.
        if name is None or "style_text" not in info.data:
            return name
        if info.data["style_text"] is None:
            raise ValueError(
                f"{name!r:.60} is not a known style; use {', '.join(_known(info).names())}, or "
                "give what it says as style_text"
            )
        if not is_style_name(name):
            raise ValueError("use lower-case letters, digits and -, 40 of them at most")
        return name

    @model_validator(mode="after")
    def _text_has_a_name(self) -> Self:
        if self.style_text is not None and self.style is None:
            raise ValueError("style_text needs a style, which is its name")
        return self


def _known(info: ValidationInfo) -> Styles:
    return info.context if isinstance(info.context, Styles) else Styles()


class KnownProvider(BaseModel):
    """What an attempt has to know of the model server that a condition names."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    editor_tool: EditorTool = "native"
    prices: dict[str, Price] = {}
    """By model; go before the table of known prices."""


class KnownProviders(RootModel[dict[str, KnownProvider]]):
    """The same of several, by name."""


class Task(BaseModel):
    """Everything an agent program is told, but for its ids and its API key.

    It is handed over as a JSON file. The ids come as environment variables, so that the
    first line can be written before anything is read; the key does too, and nowhere else.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: str = Field(min_length=1)
    condition: Condition = Condition()
    limits: Limits = Limits()
    base_url: str | None = Field(default=None, description="Model server; else Anthropic's own.")
    editor_tool: EditorTool = "native"
    prices: dict[str, Price] = Field(
        default={}, description="By model; go before the table of known prices."
    )
