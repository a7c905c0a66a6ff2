"""What goes into the store and comes out of it, beside runs."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Entry:
    """One entry of a run's log."""

    run_id: str
    position: int
    """Counts from 1 within the run."""
    variation_id: int | None
    type: str
    line: str
    """The event as JSON, as the protocol writes it: its sandbox's line, read and written anew."""


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
