"""What an agent is asked to do, and under which conditions."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from aideator.protocol.limits import Limits

DEFAULT_MODEL = "claude-sonnet-5-5"

EditorTool = Literal["native", "plain"]
"""``native`` is Anthropic's own text-editor tool; ``plain`` is the same tool with an
ordinary schema, for other servers that speak the Messages API."""

Effort = Literal["low", "medium", "high", "xhigh", "max"]


class Condition(BaseModel):
    """What sets one variation apart from its siblings. Every field is optional."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str | None = Field(
        default=None, max_length=80, description="A short name for people to tell it by."
    )
    model: str | None = Field(
        default=None, min_length=1, max_length=200, description="Model id; else the default."
    )
    instructions: str | None = Field(
        default=None, max_length=100_000, description="Added to the agent's system prompt."
    )
    temperature: float | None = Field(
        default=None, ge=0, le=1, description="Sampling temperature, for models that take one."
    )
    effort: Effort | None = Field(
        default=None, description="How much work the model puts in, for models that take it."
    )
    thinking_tokens: int | None = Field(
        default=None, ge=1024, description="Thinking budget, for models that take one."
    )


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
