"""What all runs of a day cost, and whether that is all they may."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta

from aideator_gateway.runs.problems import Problem, StartError
from aideator_gateway.runs.storage import StorageError
from aideator_gateway.runs.store import Store
from aideator_gateway.runs.stored import Spending

logger = logging.getLogger(__name__)

LOOK_SECONDS = 30.0
"""How often to look what other gateways on the database have spent."""


_NOTHING = Spending(0.0, 0)


def _now() -> datetime:
    return datetime.now(UTC)


class DaySpending:
    """Adds up what answers of the model cost, by days of UTC, in the database.

    Parameters
    ----------
    cap
        US dollars that a day may cost.
    tell
        Called with what is left of the day's cap, in US dollars, each time that it has changed
        otherwise than by ``add``.
    now
        Returns the moment it is, in UTC.
    """

    def __init__(
        self, store: Store, cap: float, tell: Callable[[float], None],
        now: Callable[[], datetime] = _now,
    ) -> None:  # fmt: skip
        self._store = store
        self._cap = cap
        self._tell = tell
        self._now = now
        self._total = _NOTHING
        self._waiting: dict[date, Spending] = {}
        self._came = asyncio.Event()
        self._settling = asyncio.Lock()
        self._keeper: asyncio.Task[None] | None = None
        self._day = now().date()
        self._warned: date | None = None
        self.used_up = False
        """Whether no more is to be spent today."""

    async def start(self) -> None:
        """Take what today's runs have cost before, and go on adding up.

        Raises
        ------
        StartError
            If the database cannot be read or written.
        """
        try:
            self._total = await self._store.add_spending(self._day, _NOTHING, with_runs=True)
        except StorageError as error:
            raise StartError(f"What was spent today is not known: {error.message}") from None
        self._share()
        self._keeper = asyncio.create_task(self._keep(), name="day's spending")

    async def aclose(self) -> None:
        """Stop, with all written that can be."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait((self._keeper,))
        await self.settle()

    def add(self, usd: float | None) -> None:
        """Count an answer, whose price may not be known."""
        answer = Spending(usd or 0.0, int(usd is None))
        turned = self._turn()
        self._waiting[self._day] = self._waiting.get(self._day, _NOTHING) + answer
        self._total += answer
        if usd is None and self._warned != self._day:
            self._warned = self._day
            logger.warning(
                "the price of an answer is not known: such answers are not in the sum that "
                "--max-day-cost-usd caps"
            )
        # At once: what is written in a moment is known already.
        self._decide()
        if turned:
            self._share()
        self._came.set()

    async def settle(self) -> None:
        """Write what has come, and look at what the database says of today."""
        async with self._settling:
            if self._turn():
                self._share()
            for day in list(self._waiting):
                came = self._waiting.pop(day)
                try:
                    await self._store.add_spending(day, came)
                except StorageError as error:
                    self._waiting[day] = came + self._waiting.get(day, _NOTHING)
                    logger.warning("what was spent is not written yet: %s", error.message)
                    return
            today = self._day
            try:
                total = await self._store.spending(today)
            except StorageError:
                return
            if today == self._day:
                # What came meanwhile is not in it.
                before, self._total = self._total, total + self._waiting.get(today, _NOTHING)
                if before != self._total:
                    self._share()

    async def check(self) -> None:
        """Raise the ``Problem`` that nothing more may be spent today, if that is so."""
        await self.settle()
        if self.used_up:
            raise Problem("day_cost_reached", self.reason)

    @property
    def reason(self) -> str:
        """What was spent, and what to do about it."""
        unknown = self._total.unknown
        more = f" (without {unknown} of unknown price)" if unknown else ""
        return (
            f"Today's answers have cost {self._total.usd:.2f} US dollars{more}; the cap of a day "
            f"is {self._cap:.2f}. Wait until midnight UTC, or start the server with a higher "
            "--max-day-cost-usd."
        )

    async def _keep(self) -> None:
        while True:
            left = (self._midnight() - self._now()).total_seconds()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, min(LOOK_SECONDS, left))):
                    await self._came.wait()
                    # Answers come in flocks; one write will do.
                    await asyncio.sleep(1)
            self._came.clear()
            try:
                await self.settle()
            except Exception:
                logger.exception("what was spent could not be counted")

    def _midnight(self) -> datetime:
        return datetime.combine(self._day + timedelta(days=1), time(), UTC)

    def _turn(self) -> bool:
        """Begin a new day if there is one, and return whether there is."""
        today = self._now().date()
        if today == self._day:
            return False
        self._day = today
        self._total = _NOTHING
        return True

    def _decide(self) -> None:
        used_up = self._total.usd >= self._cap
        if used_up != self.used_up:
            self.used_up = used_up
            logger.warning("%s", self.reason if used_up else "A new day: runs may spend again.")

    def _share(self) -> None:
        self._decide()
        self._tell(max(0.0, self._cap - self._total.usd))
