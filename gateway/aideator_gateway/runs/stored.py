"""What goes into the store and comes out of it, beside runs."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(slots=True)
class Record:
    """One thing that a run's log takes.

    Attributes
    ----------
    frame
        What clients of the stream see of it, without an id; it gets the next place in the log.
    line
        The agent's own line, for the transcript of its variation; empty if it said nothing.
    patch
        The bytes of a diff, kept beside log and transcript; the line leaves them out.
    patch_at
        Where in the line they belong, in base64.
    ends
        It is the log's end.
    """

    frame: bytes
    line: bytes = b""
    patch: bytes | None = None
    patch_at: int | None = None
    ends: bool = False

    @property
    def size(self) -> int:
        """Bytes that it holds."""
        return len(self.frame) + len(self.line) + len(self.patch or b"")


@dataclass(frozen=True)
class Segment:
    """A stretch of a run's log, as clients are sent it."""

    first: int
    last: int
    """Places of its first and last frame; they count from 1 within the run."""
    ends: bool
    """It is the log's last frame, and that alone."""
    frames: bytes


@dataclass(frozen=True)
class Change:
    """Columns to set on a run, or on one of its variations, together with an entry."""

    run_id: str
    variation_id: int | None
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class KnownKey:
    """What an Idempotency-Key was used for."""

    run_id: str
    digest: str | None
    deleted: bool


@dataclass(frozen=True)
class ListPosition:
    """Where a run stands in the list, whether or not it is still there."""

    created_at: datetime
    run_id: str


@dataclass(frozen=True)
class Spending:
    """What answers of the model have cost.

    Attributes
    ----------
    usd
        US dollars, of those whose price is known.
    unknown
        How many answers have no known price.
    """

    usd: float
    unknown: int

    def __add__(self, other: "Spending") -> "Spending":
        return Spending(self.usd + other.usd, self.unknown + other.unknown)
