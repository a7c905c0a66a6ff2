"""The life of a run: created, driven by a backend, ended, selected. No HTTP, no SQL here."""

import asyncio
import errno
import hashlib
import json
import logging
import secrets

from aideator.protocol import (
    ErrorCode,
    Limits,
    PatchEvent,
    Status,
    Styles,
    tasks_of,
)
from aideator_gateway.runs.backend import Backend, BackendError, RunSpec
from aideator_gateway.runs.log import EventLog
from aideator_gateway.runs.metrics import Metrics
from aideator_gateway.runs.model import NewRun, Run, Variation
from aideator_gateway.runs.owners import Owners
from aideator_gateway.runs.problems import Problem, invalid_field
from aideator_gateway.runs.recorder import Outcome, Recorder, cancelled, failed, interrupted
from aideator_gateway.runs.repository import check_ref, check_url
from aideator_gateway.runs.store import KeyTakenError, Store
from aideator_gateway.settings import Settings
from aideator_gateway.waiting import unless

logger = logging.getLogger(__name__)


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
    owners
        This gateway, and the others that work on the same database.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        log: EventLog,
        backend: Backend,
        metrics: Metrics,
        owners: Owners,
    ) -> None:
        self._settings = settings
        self._store = store
        self._log = log
        self._backend = backend
        self._metrics = metrics
        self._owners = owners
        self._active: dict[str, _ActiveRun] = {}
        self._slots = asyncio.Semaphore(settings.max_concurrent_runs)
        self.styles = Styles(settings.styles_dir)
        """The styles that conditions may name; read anew for each run."""

    async def recover(self) -> None:
        """End what gateways on the same database left unfinished that have died."""
        async with self._owners.dead(await self._store.unfinished_owners()) as dead:
            for run in await self._store.unfinished(dead):
                await self._interrupt(run)

    async def _interrupt(self, run: Run) -> None:
        logger.warning("run %s was interrupted by the end of its gateway", run.run_id)
        recorder = Recorder(self._log, run, self._metrics)
        recorder.seqs = {
            v.variation_id: await self._last_seq(run.run_id, v.variation_id) for v in run.variations
        }
        await recorder.settle(interrupted)
        await recorder.end()
        self._log.forget(run.run_id)

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
            If the repository may not be used, a check is asked for where none is run, or the
            key was used for another request.
        """
        if key is None:
            return await self._create(request), True
        digest = hashlib.sha256(request.model_dump_json().encode()).hexdigest()
        while True:
            if run := await self._run_of_key(key, digest):
                return run, False
            try:
                return await self._create(request, key, digest), True
            except KeyTakenError:
                continue  # the same request came in twice at once, here or in another gateway

    async def _run_of_key(self, key: str, digest: str) -> Run | None:
        known = await self._store.run_of_key(key)
        if known is None:
            return None
        run_id, known_digest = known
        if known_digest != digest:
            raise Problem(
                "idempotency_conflict",
                f"This Idempotency-Key started {run_id} with another body; "
                "use a new key for a new request.",
            )
        return await self.get(run_id)

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
        if request.check is not None and self._backend.no_checks is not None:
            raise invalid_field("check", self._backend.no_checks)
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
            owner=self._owners.me,
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
        run = await self.get(run_id)
        if active := self._active.get(run_id):
            active.stop.set()
            await asyncio.wait([active.task])
        elif not run.status.ended:
            await self._cancel_elsewhere(run_id)
        return await self.get(run_id)

    async def _cancel_elsewhere(self, run_id: str) -> None:
        owner = await self._store.owner(run_id)
        if owner != self._owners.me and not await self._owners.cancel(owner, run_id):
            await self.recover()

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
        recorder = Recorder(self._log, run, self._metrics)
        outcome: Outcome = interrupted
        try:
            if await unless(stop, self._slots.acquire()):
                try:
                    self._check_credentials()
                    await recorder.started(self._backend.name)
                    await self._backend.run(self._spec(run), recorder, stop)
                    outcome = failed(
                        ErrorCode.AGENT_CRASHED, "The agent ended without saying how it went."
                    )
                finally:
                    self._slots.release()
        except BackendError as error:
            recorder.failure = error
            outcome = failed(error.code, error.message)
        except OSError as error:
            logger.exception("run %s failed", run.run_id)
            recorder.failure = _from_os_error(error)
            outcome = failed(recorder.failure.code, recorder.failure.message)
        except Exception as error:
            logger.exception("run %s failed", run.run_id)
            recorder.failure = BackendError(
                ErrorCode.SANDBOX_FAILED, f"The gateway failed: {type(error).__name__}: {error}"
            )
            outcome = failed(recorder.failure.code, recorder.failure.message)
        finally:
            await recorder.settle(cancelled if stop.is_set() else outcome)
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
            check_seconds=self._settings.check_seconds,
            limits=run.limits,
            tasks=tasks_of(
                run.prompt,
                [variation.condition for variation in run.variations],
                run.limits,
                model=run.model,
                base_url=self._settings.base_url,
                editor_tool=self._settings.editor_tool,
            ),
        )


class _ActiveRun:
    def __init__(self, task: asyncio.Task[None], stop: asyncio.Event) -> None:
        self.task = task
        self.stop = stop


def find_variation(run: Run, variation_id: int) -> Variation:
    """Return a run's variation, or raise the ``Problem`` that there is none."""
    for variation in run.variations:
        if variation.variation_id == variation_id:
            return variation
    raise Problem(
        "variation_not_found",
        f"Run {run.run_id} has variations 1 to {len(run.variations)}, not {variation_id}.",
    )


def _from_os_error(error: OSError) -> BackendError:
    if error.errno == errno.ENOSPC:
        return BackendError(ErrorCode.DISK_FULL, "No space is left on the gateway's disk.")
    return BackendError(ErrorCode.SANDBOX_FAILED, f"The gateway failed: {error}")
