"""What a backend delivers, written down; and how each variation, and the run, ended."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime

from aideator.protocol import (
    AnyEvent,
    CancelledEvent,
    CompletedEvent,
    EndEvent,
    ErrorCode,
    FailedEvent,
    InterruptedEvent,
    PatchEvent,
    Status,
    StatusEvent,
    UsageEvent,
)
from aideator_gateway.runs.backend import BackendError
from aideator_gateway.runs.log import EventLog
from aideator_gateway.runs.metrics import Metrics
from aideator_gateway.runs.model import CheckResult, Run

MAX_TRANSCRIPT_BYTES = 64 * 1024 * 1024
"""What is kept of one variation's lines, beside its patch and its end."""

Outcome = Callable[[dict[str, object]], EndEvent]
"""Makes a variation's end from its envelope."""


class Recorder:
    """Writes what a backend delivers, and sees to it that each variation ends exactly once."""

    def __init__(self, log: EventLog, run: Run, metrics: Metrics) -> None:
        self._log = log
        self._metrics = metrics
        self._run_id = run.run_id
        self.failure: BackendError | None = None
        self.seqs = {v.variation_id: 0 for v in run.variations}
        self.attempts = {v.variation_id: 1 for v in run.variations}
        self.ended = {v.variation_id: v.status for v in run.variations if v.status.ended}
        self._kept = dict.fromkeys(self.seqs, 0)

    async def started(self, backend: str) -> None:
        """Say that a backend works on the run."""
        await self._log.append(
            self._run_id, None, None, "", {"status": Status.RUNNING, "backend": backend}
        )

    async def prepared(self, *, commit: str, isolation: str) -> None:
        """Say which commit all variations start from, and what keeps them apart."""
        await self._log.append(
            self._run_id, None, None, "", {"commit": commit, "isolation": isolation}
        )

    async def event(self, event: AnyEvent) -> None:
        """Take one event of a variation; what was seen already is dropped."""
        number = event.variation
        # A stream may be doubled or late without harm: what was seen is dropped here.
        if number not in self.seqs or number in self.ended or event.seq <= self.seqs[number]:
            return
        if event.run != self._run_id:
            return
        self.seqs[number] = event.seq
        self.attempts[number] = event.attempt
        values = _columns(event)
        line = event.model_dump_json()
        if not isinstance(event, PatchEvent | EndEvent):
            before = self._kept[number]
            self._kept[number] += len(line)
            if before > MAX_TRANSCRIPT_BYTES:
                return
            if self._kept[number] > MAX_TRANSCRIPT_BYTES:
                event = _truncated(event)
                line = event.model_dump_json()
        if isinstance(event, EndEvent):
            self.ended[number] = event.status
            self._count(event)
        await self._log.append(
            self._run_id, number, event.type, line, values,
            wait=isinstance(event, EndEvent),
        )  # fmt: skip

    def _count(self, event: EndEvent) -> None:
        reason = event.stop_reason if isinstance(event, CompletedEvent) else event.code
        self._metrics.variations_ended.labels(event.status, reason).inc()
        for kind, count in event.total.model_dump(exclude={"cost_usd"}).items():
            self._metrics.tokens.labels(kind).inc(count)

    async def checked(self, variation_id: int, result: CheckResult) -> None:
        """Say what the run's check found."""
        await self._log.append(self._run_id, variation_id, None, "", {"check": result.model_dump()})

    async def failed(self, variation_id: int, error: BackendError) -> None:
        """End one variation that cannot speak for itself."""
        await self._settle_one(variation_id, failed(error.code, error.message))

    async def settle(self, outcome: Outcome) -> None:
        """End every variation that has not ended."""
        for number in self.seqs:
            await self._settle_one(number, outcome)

    async def _settle_one(self, number: int, outcome: Outcome) -> None:
        if number in self.ended:
            return
        envelope: dict[str, object] = {
            "run": self._run_id,
            "variation": number,
            "attempt": self.attempts[number],
            "seq": self.seqs[number] + 1,
            "time": time.time(),
        }
        await self.event(outcome(envelope))

    async def end(self) -> None:
        """Write how the run as a whole went."""
        status = self._status()
        self._metrics.runs_ended.labels(status).inc()
        values: dict[str, object] = {"status": status, "ended_at": _now()}
        body: dict[str, object] = {"status": status}
        if status is Status.FAILED and self.failure is not None:
            body |= {"code": self.failure.code, "message": self.failure.message}
            values |= {"code": self.failure.code, "message": self.failure.message}
        await self._log.append(self._run_id, None, "end", json.dumps(body), values, wait=True)

    def _status(self) -> Status:
        found = set(self.ended.values())
        for status in (Status.INTERRUPTED, Status.CANCELLED, Status.COMPLETED):
            if status in found:
                return status
        return Status.FAILED


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
    # An end that the gateway wrote for a silent agent knows no figures; the last ones stay.
    if event.turns:
        columns |= {"turns": event.turns, "usage": event.total.model_dump()}
    if event.seconds:
        columns["seconds"] = event.seconds
    return columns


def interrupted(envelope: dict[str, object]) -> EndEvent:
    """End a variation because the gateway ends."""
    return InterruptedEvent.model_validate({**envelope, "type": "interrupted"})


def cancelled(envelope: dict[str, object]) -> EndEvent:
    """End a variation because somebody said so."""
    return CancelledEvent.model_validate({**envelope, "type": "cancelled"})


def failed(code: ErrorCode, message: str) -> Outcome:
    """Return what ends a variation that cannot speak for itself."""

    def end(envelope: dict[str, object]) -> EndEvent:
        return FailedEvent.model_validate(
            {**envelope, "type": "failed", "code": code, "message": message}
        )

    return end


def _now() -> datetime:
    return datetime.now(UTC)
