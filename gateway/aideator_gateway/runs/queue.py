"""Which runs work and which wait for their turn; and how many may wait."""

import asyncio
import itertools

from aideator_gateway.runs.metrics import Metrics
from aideator_gateway.runs.problems import Problem
from aideator_gateway.settings import Settings

RETRY_SECONDS = 30
"""When to come back that is told to those for whom there is no room."""


class Queue:
    """Lets few runs work at once, in the order in which they came.

    A run that waits is nothing but an id here; its prompt is in the database.

    Parameters
    ----------
    settings
        How many may work, how many may wait, and how large their prompts may be together.
    metrics
        Counts those that wait.
    """

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings = settings
        self._turns = asyncio.Semaphore(settings.max_concurrent_runs)
        self._free = settings.max_concurrent_runs
        self._waiting: dict[str, int] = {}
        """Bytes of prompts, by run, in order."""
        metrics.runs_pending.set_function(lambda: len(self._waiting))
        metrics.runs_pending_bytes.set_function(lambda: sum(self._waiting.values()))

    def join(self, run_id: str, prompt_bytes: int) -> None:
        """Take a place behind all others.

        Raises
        ------
        Problem
            If too many wait.
        """
        # Those for whom there is a turn at once wait for nobody.
        ahead = len(self._waiting) - self._free
        most, most_bytes = self._settings.max_pending_runs, self._settings.max_pending_bytes
        bytes_ = sum(self._waiting.values()) + prompt_bytes
        if ahead >= most or (ahead >= 0 and bytes_ > most_bytes):
            raise Problem(
                "queue_full",
                f"{len(self._waiting)} runs wait for their turn, with prompts of "
                f"{bytes_ - prompt_bytes} bytes: send the request again later, or start the server "
                "with a higher --max-pending-runs or --max-pending-bytes.",
                retry_after=RETRY_SECONDS,
            )
        self._waiting[run_id] = prompt_bytes

    def leave(self, run_id: str) -> None:
        """Wait no more."""
        self._waiting.pop(run_id, None)

    def position(self, run_id: str) -> int | None:
        """Return how many turns it takes until a run has its own; ``None`` if it does not wait."""
        if run_id not in self._waiting:
            return None
        return 1 + sum(1 for _ in itertools.takewhile(lambda id_: id_ != run_id, self._waiting))

    async def turn(self, run_id: str) -> bool:
        """Wait for a run's turn, which is to be ended with ``done``; always ``True``."""
        try:
            await self._turns.acquire()
        finally:
            self.leave(run_id)
        self._free -= 1
        return True

    def done(self) -> None:
        """End a turn."""
        self._free += 1
        self._turns.release()
