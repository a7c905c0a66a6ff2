"""What an experiment's journal tells of, one entry a step."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from aideator_gateway.experiments.definition import Experiment
from aideator_gateway.runs.model import NewRun, Run


def _now() -> datetime:
    return datetime.now(UTC)


class _Entry(BaseModel):
    # Of a later version there may be more in it.
    model_config = ConfigDict(frozen=True, extra="ignore")

    time: datetime = Field(default_factory=_now)


class Begun(_Entry):
    """The experiment begins, or goes on with another file."""

    entry: Literal["begun"] = "begun"
    experiment: Experiment
    model: str
    """For conditions that name none."""
    scripted: bool
    """The model is the scripted demo, not an LLM."""
    share_usd: float
    """What an attempt may cost that has no limit of its own."""
    versions: dict[str, str]


class AttemptName(BaseModel):
    """An attempt, and what it was called at the time."""

    model_config = ConfigDict(frozen=True)

    id: str
    task: str
    condition: str
    repeat: int


class Planned(_Entry):
    """A run is about to be asked for."""

    entry: Literal["planned"] = "planned"
    key: str
    """Its Idempotency-Key: asked for again, it is the same run."""
    attempts: list[AttemptName]
    """One for each variation, in order."""
    ref: str | None
    """As the file says it; the request may name the commit that it was."""
    request: NewRun


class Started(_Entry):
    """A run was created."""

    entry: Literal["started"] = "started"
    key: str
    run_id: str


class Ended(_Entry):
    """A run has ended."""

    entry: Literal["ended"] = "ended"
    key: str
    run: Run


class Dropped(_Entry):
    """A run was not created, or is gone: its attempts are to be made in another one."""

    entry: Literal["dropped"] = "dropped"
    key: str
    why: str


Entry = Annotated[Begun | Planned | Started | Ended | Dropped, Field(discriminator="entry")]

entry_adapter: TypeAdapter[Entry] = TypeAdapter(Entry)
