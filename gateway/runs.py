"""The life of a run: created, driven by a backend, ended, selected. No HTTP, no SQL here."""

import asyncio
import errno
import hashlib
import json
import logging
import secrets
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
    Limits,
    PatchEvent,
    Status,
    StatusEvent,
    Styles,
    Task,
    UsageEvent,
)
from gateway.backends.base import Backend, BackendError, RunSpec
from gateway.errors import Problem
from gateway.log import EventLog
from gateway.metrics import Metrics
from gateway.repository import check_ref, check_url
from gateway.schemas import CheckResult, NewRun, Run, Variation
from gateway.settings import Settings
from gateway.store import Store
from gateway.waiting import unless

logger = logging.getLogger(__name__)

MAX_TRANSCRIPT_BYTES = 64 * 1024 * 1024
"""What is kept of one variation's lines, beside its patch and its end."""


class Runs:
    """All runs of this gateway.

    Parameters
    ----------
    settings
        Models, limits and what is allowed.
    store, log
        Where runs and their events are kept.
    backend
        Where variations run.
    metrics
        Counts how they went.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        log: EventLog,
        backend: Backend,
        metrics: Metrics,
    ) -> None:
        self._settings = settings
        self._store = store
        self._log = log
        self._backend = backend
        self._metrics = metrics
        self._active: dict[str, _ActiveRun] = {}
        self._keys = asyncio.Lock()
        self._slots = asyncio.Semaphore(settings.max_concurrent_runs)
        self.styles = Styles(settings.styles_dir)
        """The styles that conditions may name; read anew for each run."""

    async def recover(self) -> None:
        """End what an earlier gateway on the same database left unfinished."""
        for run in await self._store.unfinished():
            logger.warning("run %s was interrupted by the end of an earlier gateway", run.run_id)
            recorder = _Recorder(self._log, run, self._metrics)
            recorder.seqs = {
                v.variation_id: await self._last_seq(run.run_id, v.variation_id)
                for v in run.variations
            }
            await recorder.settle(_interrupted)
            await recorder.end()

    async def _last_seq(self, run_id: str, variation_id: int) -> int:
        entries = await self._store.transcript(run_id, variation_id)
        return int(json.loads(entries[-1].line)["seq"]) if entries else 0

    async def aclose(self) -> None:
        """Stop all runs; what has not ended is interrupted."""
        tasks = [active.task for active in self._active.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def create(self, request: NewRun, key: str | None = None) -> tuple[Run, bool]:
        """Write a run and start to work on it in the background.

        Parameters
        ----------
        key
            The client's Idempotency-Key. The same request under the same key is the same run.

        Returns
        -------
        The run, and whether it is new.

        Raises
        ------
        Problem
            If the repository may not be used, or the key was used for another request.
        """
        if key is None:
            return await self._create(request), True
        digest = hashlib.sha256(request.model_dump_json().encode()).hexdigest()
        # The gateway is alone on its database, so a lock in this process is enough.
        async with self._keys:
            if known := await self._store.run_of_key(key):
                run_id, known_digest = known
                if known_digest != digest:
                    raise Problem(
                        "idempotency_conflict",
                        f"This Idempotency-Key started {run_id} with another body; "
                        "use a new key for a new request.",
                    )
                return await self.get(run_id), False
            return await self._create(request, key, digest), True

    async def _create(
        self, request: NewRun, key: str | None = None, digest: str | None = None
    ) -> Run:
        url = check_url(
            request.github_url,
            allow_hosts=self._settings.repository_hosts,
            allow_file=self._settings.allow_file,
        )
        if request.ref is not None:
            check_ref(request.ref)
        request = request.model_copy(update={"github_url": url})
        limits = self._limits(request)
        run = await self._store.create_run(
            f"run_{secrets.token_hex(8)}",
            request,
            limits=limits,
            model=self._settings.model,
            scripted=self._settings.scripted,
            key=key,
            digest=digest,
        )
        stop = asyncio.Event()
        task = asyncio.create_task(self._drive(run, stop), name=run.run_id)
        self._active[run.run_id] = _ActiveRun(task, stop)
        self._metrics.runs_active.set(len(self._active))
        task.add_done_callback(lambda _: self._forget(run.run_id))
        return run

    def _limits(self, request: NewRun) -> Limits:
        given = request.limits or Limits()
        if "max_run_cost_usd" in given.model_fields_set:
            return given
        return given.model_copy(update={"max_run_cost_usd": self._settings.max_run_cost_usd})

    def _forget(self, run_id: str) -> None:
        self._active.pop(run_id, None)
        self._metrics.runs_active.set(len(self._active))
        self._log.forget(run_id)

    async def get(self, run_id: str) -> Run:
        """Return a run, or raise the ``Problem`` that there is none."""
        run = await self._store.run(run_id)
        if run is None:
            raise Problem("run_not_found", f"There is no run {run_id!r}; GET /runs lists them.")
        return run

    async def variation(self, run_id: str, variation_id: int) -> Variation:
        """Return a variation, or raise the ``Problem`` that there is none."""
        return find_variation(await self.get(run_id), variation_id)

    async def patch(self, run_id: str, variation_id: int) -> bytes:
        """Return a variation's patch as bytes of a unified diff.

        Raises
        ------
        Problem
            If there is none yet, or it was too large to be kept.
        """
        variation = await self.variation(run_id, variation_id)
        if variation.patch is None:
            raise Problem(
                "patch_not_found",
                f"Variation {variation_id} is {variation.status} and has no patch"
                + (" yet." if not variation.status.ended else "."),
            )
        if variation.patch.truncated:
            raise Problem(
                "patch_too_large",
                f"The patch of variation {variation_id} has {variation.patch.bytes} bytes, "
                "which is more than is kept.",
            )
        entries = await self._store.transcript(run_id, variation_id, only="patch")
        return PatchEvent.model_validate_json(entries[-1].line).content()

    async def select(self, run_id: str, variation_id: int, reason: str | None) -> None:
        """Record the winner; a later choice replaces it, and both are kept.

        Raises
        ------
        Problem
            If the variation does not exist or has not completed.
        """
        variation = await self.variation(run_id, variation_id)
        if variation.status is not Status.COMPLETED:
            raise Problem(
                "variation_not_completed",
                f"Variation {variation_id} is {variation.status}; select one that is completed.",
            )
        await self._store.select(run_id, variation_id, reason)

    async def cancel(self, run_id: str) -> Run:
        """Tell a run to stop and wait until it has; one that has ended stays as it is."""
        await self.get(run_id)
        if active := self._active.get(run_id):
            active.stop.set()
            await asyncio.wait([active.task])
        return await self.get(run_id)

    async def delete(self, run_id: str) -> None:
        """Remove a run that has ended, with its log and its patches.

        Raises
        ------
        Problem
            If there is no such run, or it still runs.
        """
        run = await self.get(run_id)
        if not run.status.ended:
            raise Problem(
                "run_active", f"Run {run_id} is {run.status}: cancel it before you delete it."
            )
        await self._store.delete_run(run_id)
        self._log.deleted(run_id)

    async def _drive(self, run: Run, stop: asyncio.Event) -> None:
        recorder = _Recorder(self._log, run, self._metrics)
        outcome: Callable[[dict[str, object]], EndEvent] = _interrupted
        try:
            if await unless(stop, self._slots.acquire()):
                try:
                    self._check_credentials()
                    await recorder.started(self._backend.name)
                    await self._backend.run(self._spec(run), recorder, stop)
                    outcome = _failed(
                        ErrorCode.AGENT_CRASHED, "The agent ended without saying how it went."
                    )
                finally:
                    self._slots.release()
        except BackendError as error:
            recorder.failure = error
            outcome = _failed(error.code, error.message)
        except OSError as error:
            logger.exception("run %s failed", run.run_id)
            recorder.failure = _from_os_error(error)
            outcome = _failed(recorder.failure.code, recorder.failure.message)
        except Exception as error:
            logger.exception("run %s failed", run.run_id)
            recorder.failure = BackendError(
                ErrorCode.SANDBOX_FAILED, f"The gateway failed: {type(error).__name__}: {error}"
            )
            outcome = _failed(recorder.failure.code, recorder.failure.message)
        finally:
            await recorder.settle(_cancelled if stop.is_set() else outcome)
            await recorder.end()

    def _check_credentials(self) -> None:
        settings = self._settings
        if not settings.has_credentials and settings.base_url is None:
            raise BackendError(
                ErrorCode.MISSING_API_KEY, "The gateway has no API key for Anthropic's API."
            )

    def _spec(self, run: Run) -> RunSpec:
        return RunSpec(
            run_id=run.run_id,
            url=run.github_url,
            ref=run.ref,
            check=run.check,
            limits=run.limits,
            tasks=tuple(
                Task(
                    prompt=run.prompt,
                    condition=variation.condition.model_copy(
                        update={"model": variation.condition.model or run.model}
                    ),
                    limits=run.limits.for_one_of(len(run.variations), variation.condition.limits),
                    base_url=self._settings.base_url,
                    editor_tool=self._settings.editor_tool,
                )
                for variation in run.variations
            ),
        )


class _ActiveRun:
    def __init__(self, task: asyncio.Task[None], stop: asyncio.Event) -> None:
        self.task = task
        self.stop = stop


class _Recorder:
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
        await self._log.append(
            self._run_id, None, None, "", {"status": Status.RUNNING, "backend": backend}
        )

    async def prepared(self, *, commit: str, isolation: str) -> None:
        await self._log.append(
            self._run_id, None, None, "", {"commit": commit, "isolation": isolation}
        )

    async def event(self, event: AnyEvent) -> None:
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
        await self._log.append(self._run_id, variation_id, None, "", {"check": result.model_dump()})

    async def failed(self, variation_id: int, error: BackendError) -> None:
        await self._settle_one(variation_id, _failed(error.code, error.message))

    async def settle(self, outcome: Callable[[dict[str, object]], EndEvent]) -> None:
        """End every variation that has not ended."""
        for number in self.seqs:
            await self._settle_one(number, outcome)

    async def _settle_one(
        self, number: int, outcome: Callable[[dict[str, object]], EndEvent]
    ) -> None:
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


def find_variation(run: Run, variation_id: int) -> Variation:
    """Return a run's variation, or raise the ``Problem`` that there is none."""
    for variation in run.variations:
        if variation.variation_id == variation_id:
            return variation
    raise Problem(
        "variation_not_found",
        f"Run {run.run_id} has variations 1 to {len(run.variations)}, not {variation_id}.",
    )


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
        case PatchEvent():
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


def _interrupted(envelope: dict[str, object]) -> EndEvent:
    return InterruptedEvent.model_validate({**envelope, "type": "interrupted"})


def _cancelled(envelope: dict[str, object]) -> EndEvent:
    return CancelledEvent.model_validate({**envelope, "type": "cancelled"})


def _failed(code: ErrorCode, message: str) -> Callable[[dict[str, object]], EndEvent]:
    def end(envelope: dict[str, object]) -> EndEvent:
        return FailedEvent.model_validate(
            {**envelope, "type": "failed", "code": code, "message": message}
        )

    return end


def _from_os_error(error: OSError) -> BackendError:
    if error.errno == errno.ENOSPC:
        return BackendError(ErrorCode.DISK_FULL, "No space is left on the gateway's disk.")
    return BackendError(ErrorCode.SANDBOX_FAILED, f"The gateway failed: {error}")


def _now() -> datetime:
    return datetime.now(UTC)
