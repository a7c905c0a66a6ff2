"""What a figure is: a value, how far off it may be, and what it goes by."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

Groups = Sequence[Sequence[float]]
"""Values by task; a task without values is left out of account."""

CONFIDENCE = 0.95
"""How often intervals are to hold the truth."""

LEAST_TASKS = 3
"""With fewer tasks no interval says anything."""

FEW_TASKS = 20
"""With fewer tasks intervals are rough: what tasks may be like is hardly known from so few."""


class Interval(BaseModel):
    """Where the truth is, with 95 % confidence."""

    model_config = ConfigDict(frozen=True)

    low: float
    high: float

    def clipped(self, low: float, high: float) -> "Interval":
        """Return what of it is possible."""
        return Interval(low=max(self.low, low), high=min(self.high, high))


class Estimate(BaseModel):
    """A figure from a sample of tasks."""

    model_config = ConfigDict(frozen=True)

    value: float
    interval: Interval | None = Field(description="Null where too few tasks make it impossible.")
    tasks: int = Field(description="Tasks that it goes by.")
    attempts: int = Field(description="Values that it goes by.")


def filled(groups: Groups) -> list[list[float]]:
    """Return the groups that have values."""
    return [list(group) for group in groups if len(group)]
