"""What a list says of an experiment."""

from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, Field

from aideator_gateway.experiments.journal import JournalError, read_journal
from aideator_gateway.experiments.state import State


class ExperimentSummary(BaseModel):
    """An experiment of the data directory."""

    name: str
    description: str | None = None
    attempts: int = Field(default=0, description="How many there are to be.")
    done: int = Field(default=0, description="How many have a result.")
    scripted: bool = Field(default=False, description="The model is the scripted demo.")
    changed_at: datetime
    problem: str | None = Field(default=None, description="Why nothing is known of it.")


class ExperimentList(BaseModel):
    """Answer to ``GET /experiments``, the last changed first."""

    experiments: list[ExperimentSummary]


def summary_of(path: Path) -> tuple[ExperimentSummary, frozenset[str]] | None:
    """Return what a journal says in short, and the ids of its runs; ``None`` if nothing began."""
    changed_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    try:
        state = State.of(read_journal(path))
    except JournalError as error:
        broken = ExperimentSummary(name=path.stem, changed_at=changed_at, problem=str(error))
        return broken, frozenset()
    if not state.begun:
        return None
    begun = state.begun[-1]
    attempts = state.plan.attempts
    summary = ExperimentSummary(
        name=path.stem,
        description=begun.experiment.description,
        attempts=len(attempts),
        done=sum(state.result(attempt.id) is not None for attempt in attempts),
        scripted=begun.scripted,
        changed_at=changed_at,
    )
    return summary, frozenset(one.run.run_id for tries in state.tries.values() for one in tries)
