"""Bodies that only HTTP knows; what they carry of a run is the domain's own."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StrictInt

from aideator_gateway.runs.model import BRIEF, Run


class RunCreated(BaseModel):
    """Answer to ``POST /runs``."""

    run_id: str = Field(examples=["run_def456"])
    stream_url: str = Field(examples=["/runs/run_def456/stream"])


class NewSelection(BaseModel):
    """Body of ``POST /runs/{run_id}/select``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    winning_variation_id: StrictInt | None = Field(
        examples=[2], description="Null, once the run has ended: none of them is good enough."
    )
    reason: Annotated[str, Field(max_length=10_000)] | None = Field(
        default=None, description="Why this one, or none; kept with the selection."
    )


class Cancellation(BaseModel):
    """Body of ``POST /runs/{run_id}/cancel``: an empty object, or nothing at all."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Success(BaseModel):
    """Answer to a change that was made."""

    status: str = Field(default="success", examples=["success"])


class RunList(BaseModel):
    """Answer to ``GET /runs``, newest first."""

    runs: list[Run] = Field(
        description=f"Each with {BRIEF} characters of its prompt, and of other long texts; the "
        "run itself has all of them."
    )
    next: str | None = Field(description="Cursor of the next page, or null on the last.")


class Health(BaseModel):
    """Answer to ``GET /healthz``."""

    status: str = "ok"
