"""What working on runs takes, whoever does it."""

from dataclasses import dataclass

from aideator_gateway.runs.backend import Backend
from aideator_gateway.runs.log import EventLog
from aideator_gateway.runs.metrics import Metrics
from aideator_gateway.runs.spending import DaySpending
from aideator_gateway.runs.store import Store
from aideator_gateway.runs.tracing import Tracer
from aideator_gateway.settings import Settings


@dataclass(frozen=True)
class Dependencies:
    """Made once for a gateway, which also closes them."""

    settings: Settings
    """Models, limits, what is allowed, and how many runs work at once."""

    store: Store
    """Where runs are kept."""

    log: EventLog
    """Where their events are kept."""

    backend: Backend
    """Where variations run."""

    metrics: Metrics
    """Counts how they went."""

    spending: DaySpending | None = None
    """Counts what a day costs, where that has a cap."""

    tracer: Tracer | None = None
    """Makes spans, where somebody traces."""
