"""What a backend delivers, written down; and how each variation, and the run, ended."""

import asyncio
import logging
import time
from datetime import UTC, datetime
from typing import Any

from aideator.protocol import (
    DEFAULT_PROVIDER,
    AnyEvent,
    CancelledEvent,
    CompletedEvent,
    EndEvent,
    FailedEvent,
    InterruptedEvent,
    PatchEvent,
    Status,
    StatusEvent,
    UsageEvent,
)
from aideator_gateway.runs.backend import BackendError
from aideator_gateway.runs.context import working_on
from aideator_gateway.runs.ends import Outcome, as_stored, failed, unchecked
from aideator_gateway.runs.frames import check_frame, end_frame, read_end
from aideator_gateway.runs.log import EventLog
from aideator_gateway.runs.metrics import Metrics
from aideator_gateway.runs.model import CheckResult, Run, Variation
from aideator_gateway.runs.progress import Progress, stored_progress
from aideator_gateway.runs.records import as_line, as_record
from aideator_gateway.runs.storage import StorageError
from aideator_gateway.runs.store import Store
from aideator_gateway.runs.stored import Record

logger = logging.getLogger(__name__)

MAX_TRANSCRIPT_BYTES = 64 * 1024 * 1024
"""What is kept of one variation's lines, beside its patch and its end."""


class Recorder:
    """Writes what a backend delivers, and sees to it that each variation ends exactly once.

    Parameters
    ----------
    store, log
        Where runs and their events are kept.
    run
        The run, new or as an earlier gateway left it.
    metrics
        Counts how it went.
    found
        The run is not new: how it stands has to be looked at first.
    """

    def __init__(
        self, store: Store, log: EventLog, run: Run, metrics: Metrics, *, found: bool = False
    ) -> None:
        self._store = store
        self._log = log
        self._metrics = metrics
        self._run_id = run.run_id
        self._variations = {v.variation_id: Progress() for v in run.variations}
        self._models = {
            v.variation_id: (
                v.condition.provider or DEFAULT_PROVIDER,
                v.condition.model or run.model,
            )
            for v in run.variations
        }
        self._check = run.check
        self._unchecked = {v.variation_id for v in run.variations if v.check is None}
        self._closed = False
        self._stale = found
        self.failure: BackendError | None = None
        """Why the run as a whole failed, if it did."""
        self.trouble: StorageError | None = None
        """Why writes of the run were given up, if they were."""

    async def started(self, backend: str) -> None:
        """Say that a backend works on the run."""
        logger.info("run %s begins", self._run_id)
        await self._set(None, {"status": Status.RUNNING, "backend": backend})

    async def prepared(self, *, commit: str, isolation: str, copies: str | None) -> None:
        """Say which commit all variations start from, and what keeps them and their files apart."""
        await self._set(None, {"commit": commit, "isolation": isolation, "copies": copies})

    async def checked(self, variation_id: int, result: CheckResult) -> None:
        """Say what the run's check found."""
        await self._checked(variation_id, result)

    async def _checked(self, number: int, result: CheckResult, *, final: bool = False) -> None:
        found = result.model_dump(mode="json")
        record = Record(check_frame(number, found, time.time()))
        await self._append(number, record, {"check": found}, final=final)
        self._unchecked.discard(number)

    async def event(self, event: AnyEvent, line: bytes | None = None) -> None:
        """Take one event of a variation; what was seen already is dropped."""
        progress = self._variations.get(event.variation)
        if progress is None or event.run != self._run_id:
            return
        # A stream may be doubled or late without harm: what was seen is dropped here.
        if progress.status is not None or event.seq <= progress.seq:
            return
        if isinstance(event, PatchEvent) and progress.patched:
            return
        try:
            await self._take(event, progress, line or as_line(event))
        except StorageError as error:
            if not self._log.resume(self._run_id, event.variation):
                raise
            # Only this variation has something that cannot be stored; its siblings go on.
            self._variations[event.variation] = await stored_progress(
                self._store, self._run_id, event.variation
            )
            await self._settle_one(event.variation, failed(error.code, error.message))

    async def _take(self, event: AnyEvent, progress: Progress, line: bytes) -> None:
        stored: AnyEvent = event
        if not isinstance(event, PatchEvent | EndEvent):
            before = progress.kept
            progress.kept += len(line)
            if before > MAX_TRANSCRIPT_BYTES:
                progress.take(event)
                return
            if progress.kept > MAX_TRANSCRIPT_BYTES:
                stored = _truncated(event)
                line = as_line(stored)
        record = as_record(stored, line)
        ends = isinstance(event, EndEvent)
        done = await self._append(event.variation, record, _columns(event), final=ends)
        progress.take(event)
        if isinstance(event, EndEvent):
            await self._committed(done)
            self._count(event)

    def _count(self, event: EndEvent) -> None:
        reason = event.stop_reason if isinstance(event, CompletedEvent) else event.code
        with working_on(self._run_id, event.variation):
            logger.info(
                "variation %d of %s is %s: %s", event.variation, self._run_id, event.status, reason
            )
        self._metrics.variations_ended.labels(event.status, reason).inc()
        self._metrics.spent(*self._models[event.variation], event.total.cost_usd)
        for kind, count in event.total.model_dump(exclude={"cost_usd"}).items():
            self._metrics.tokens.labels(kind).inc(count)

    async def failed(self, variation_id: int, error: BackendError) -> None:
        """End one variation that cannot speak for itself."""
        await self._settle_one(variation_id, failed(error.code, error.message))

    async def finish(self, outcome: Outcome) -> bool:
        """End every variation that has not ended, and the run; may be called until it works.

        Returns
        -------
        ``False`` if there is no such run any more.

        Raises
        ------
        StorageError
            If it cannot be written, or not be read how it stands.
        """
        if self._stale and not await self._look():
            return False
        for number in self._variations:
            await self._settle_one(number, outcome)
        if not self._closed:
            if self._check is not None:
                for number in sorted(self._unchecked):
                    await self._checked(
                        number, unchecked(self._check, outcome, self.failure), final=True
                    )
            await self._end()
        return True

    def doubt(self) -> None:
        """Let the next ``finish`` look at what is stored before it goes on."""
        self._stale = True

    async def _look(self) -> bool:
        """Go on from what is stored, and mend it where its parts do not agree.

        The log goes before the rows, since that is what clients have seen.
        """
        self._log.resume(self._run_id)
        run = await self._store.run(self._run_id)
        if run is None:
            return False
        last = await self._store.last_segment(self._run_id)
        self._closed = last is not None and last.ends
        self._unchecked = {v.variation_id for v in run.variations if v.check is None}
        for variation in run.variations:
            await self._look_at(variation)
        if last is not None and last.ends and not run.status.ended:
            said = read_end(last.frames)
            values: dict[str, object] = {
                name: said[name] for name in ("status", "code", "message") if name in said
            }
            await self._mend(None, values | {"ended_at": _now()})
        elif run.status.ended and not self._closed:
            await self._end(run)
        self._stale = False
        return True

    async def _look_at(self, variation: Variation) -> None:
        number = variation.variation_id
        progress = await stored_progress(self._store, self._run_id, number)
        self._variations[number] = progress
        if progress.end is not None and not variation.status.ended:
            await self._mend(number, _columns(progress.end))
        elif progress.end is None and variation.status.ended:
            if self._closed:
                progress.status = variation.status
            else:
                await self._settle_one(number, as_stored(variation))

    async def _settle_one(self, number: int, outcome: Outcome) -> None:
        progress = self._variations[number]
        if progress.status is not None:
            return
        event = outcome(
            {
                "run": self._run_id,
                "variation": number,
                "attempt": progress.attempt,
                "seq": progress.seq + 1,
                "time": time.time(),
                # What it used is known from what it said, also if it cannot say so itself.
                "turns": progress.turns,
                "seconds": progress.seconds,
                "total": progress.usage,
            }
        )
        if self._closed:
            # Nobody reads behind a log's end; only the row is put right.
            await self._mend(number, _columns(event))
            progress.take(event)
        else:
            await self._take(event, progress, as_line(event))

    async def _end(self, stored: Run | None = None) -> None:
        """Write how the run as a whole went."""
        status = stored.status if stored else self._status()
        said: dict[str, Any] = {"status": status}
        failure = stored or self.failure
        if status is Status.FAILED and failure is not None and failure.code is not None:
            said |= {"code": failure.code, "message": failure.message}
        values: dict[str, object] = said | (
            {} if stored and stored.ended_at else {"ended_at": _now()}
        )
        done = await self._append(None, Record(end_frame(**said), ends=True), values, final=True)
        self._closed = True
        await self._committed(done)
        with working_on(self._run_id):
            logger.info("run %s is %s", self._run_id, status)
        self._metrics.runs_ended.labels(status).inc()

    def _status(self) -> Status:
        found = {progress.status for progress in self._variations.values()}
        for status in (Status.INTERRUPTED, Status.CANCELLED, Status.COMPLETED):
            if status in found:
                return status
        return Status.FAILED

    async def _set(self, variation_id: int | None, values: dict[str, object]) -> None:
        await self._append(variation_id, None, values)

    async def _mend(self, variation_id: int | None, values: dict[str, object]) -> None:
        await self._committed(await self._append(variation_id, None, values, final=True))

    async def _append(
        self,
        variation_id: int | None,
        record: Record | None,
        values: dict[str, object],
        *,
        final: bool = False,
    ) -> asyncio.Future[None]:
        try:
            return await self._log.append(self._run_id, variation_id, record, values, final=final)
        except StorageError as error:
            raise self._given_up(error) from None

    async def _committed(self, done: asyncio.Future[None]) -> None:
        try:
            await asyncio.shield(done)
        except StorageError as error:
            raise self._given_up(error) from None

    def _given_up(self, error: StorageError) -> StorageError:
        self.trouble = error
        self._stale = True
        return error


def _truncated(event: AnyEvent) -> StatusEvent:
    """Return the notice that stands in a transcript for what was too much to keep."""
    return StatusEvent(
        **event.model_dump(include={"run", "variation", "attempt", "seq", "time"}),
        type="status",
        state="truncated",
        message=f"Truncated: a transcript is kept up to {MAX_TRANSCRIPT_BYTES} bytes.",
    )


def _columns(event: AnyEvent) -> dict[str, object]:
    """Return what an event changes in its variation's row."""
    match event:
        case StatusEvent() if event.seq == 1:
            return {"status": Status.RUNNING}
        case UsageEvent():
            return {"usage": event.total.model_dump(), "turns": event.turn}
        case PatchEvent() if not event.withheld:
            return {
                "patch_stat": event.model_dump(
                    include={"bytes", "files", "insertions", "deletions", "truncated"}
                )
            }
        case CompletedEvent():
            return {
                **_end_columns(event),
                "stop_reason": event.stop_reason,
                "summary": event.summary,
            }
        case FailedEvent() | CancelledEvent() | InterruptedEvent():
            return {**_end_columns(event), "code": event.code, "message": event.message}
    return {}


def _end_columns(event: EndEvent) -> dict[str, object]:
    columns: dict[str, object] = {"status": event.status}
    # An attempt that was stopped before it began knows no figures; the last ones stay.
    if event.turns:
        columns |= {"turns": event.turns, "usage": event.total.model_dump()}
    if event.seconds:
        columns["seconds"] = event.seconds
    return columns


def _now() -> datetime:
    return datetime.now(UTC)
