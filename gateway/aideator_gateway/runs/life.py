"""The life of a run: created, driven by a backend, ended, selected. No HTTP, no SQL here."""

import hashlib
import logging
import secrets
import time
from collections.abc import AsyncIterator, Sequence

from aideator.protocol import Status, Styles
from aideator_gateway.runs.admission import Admission
from aideator_gateway.runs.context import working_on
from aideator_gateway.runs.dependencies import Dependencies
from aideator_gateway.runs.driver import Driver
from aideator_gateway.runs.ends import cancelled, interrupted
from aideator_gateway.runs.model import NewRun, Readiness, Run, Variation
from aideator_gateway.runs.owners import Owners
from aideator_gateway.runs.problems import Problem
from aideator_gateway.runs.storage import StorageError
from aideator_gateway.runs.store import KeyTakenError
from aideator_gateway.runs.stored import ListPosition
from aideator_gateway.runs.tracing import span, traced_by

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 10.0
"""How long somebody waits for an end that cannot be written; it is still tried after that."""


CLAIM_SECONDS = 2.0
"""How long putting in order waits while somebody else writes: who only reads waits for it."""


class Runs:
    """All runs of this gateway.

    Parameters
    ----------
    dependencies
        What they are worked on with.
    owners
        This gateway, and the others that work on the same database.
    """

    def __init__(self, dependencies: Dependencies, owners: Owners) -> None:
        self._settings = dependencies.settings
        self._store = dependencies.store
        self._log = dependencies.log
        self._backend = dependencies.backend
        self._owners = owners
        self._metrics = dependencies.metrics
        self._tracer = dependencies.tracer
        self._admission = Admission(dependencies)
        self._driver = Driver(dependencies)
        self.styles = Styles(self._settings.styles_dir)
        """The styles that conditions may name; read anew for each run."""

    async def recover(self) -> None:
        """End what gateways on the same database left unfinished that have died.

        Ends that cannot be written now are tried on in the background.

        Raises
        ------
        StorageError
            If it cannot be seen what is unfinished, or be made this gateway's; a later call
            goes on from there.
        """
        async with self._owners.dead(await self._store.unfinished_owners()) as dead:
            found = await self._store.unfinished(dead) if dead else []
            if found:
                # Its ends may be written after this block: nobody else is to try that as well.
                await self._store.claim(
                    [run.run_id for run in found], self._owners.me, patience=CLAIM_SECONDS
                )
        left = []
        for run in found:
            if not run.status.ended:
                with working_on(run.run_id):
                    logger.warning("run %s was interrupted by the end of its gateway", run.run_id)
            left.append(self._driver.end(run, interrupted))
        deadline = time.monotonic() + PATIENCE_SECONDS
        for active in left:
            await active.wait_ended(deadline - time.monotonic())

    async def aclose(self) -> None:
        """Interrupt all runs, and wait until their ends are written, if that works soon."""
        await self._driver.aclose()

    async def readiness(self) -> Readiness:
        """Say whether a run could start now, and be written down."""
        ready = await self._backend.readiness()
        ready = ready.model_copy(update={"styles": self.styles.names()})
        trouble = self._log.trouble or self._admission.trouble
        if trouble is None:
            try:
                await self._store.check()
            except StorageError as error:
                trouble = error.message
        if trouble is None:
            return ready
        return ready.model_copy(update={"ready": False, "reason": f"{ready.reason}; {trouble}"})

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
            If the request is not admitted, too many runs wait already, or the key was used for
            another request.
        """
        try:
            return await self._of_key(request, key) if key else (await self._create(request), True)
        except Problem as problem:
            self._metrics.runs_refused.labels(problem.code).inc()
            raise

    async def _of_key(self, request: NewRun, key: str) -> tuple[Run, bool]:
        digest = hashlib.sha256(request.model_dump_json().encode()).hexdigest()
        while True:
            if run := await self._run_of_key(key, digest):
                return run, False
            try:
                return await self._create(request, key, digest), True
            except KeyTakenError:
                continue  # the same request came in twice at once, here or in another gateway

    async def _run_of_key(self, key: str, digest: str) -> Run | None:
        known = await self._store.known_key(key)
        if known is None:
            return None
        if known.deleted:
            raise Problem(
                "run_deleted",
                f"This Idempotency-Key started {known.run_id}, which was deleted; "
                "use a new key to start a new run.",
            )
        if known.digest != digest:
            raise Problem(
                "idempotency_conflict",
                f"This Idempotency-Key started {known.run_id} with another body; "
                "use a new key for a new request.",
            )
        return await self.get(known.run_id)

    async def _create(
        self, request: NewRun, key: str | None = None, digest: str | None = None
    ) -> Run:
        request, limits = await self._admission.check(request)
        if self._driver.closing:
            raise Problem("stopping", "This server is stopping; send the request again later.")
        run_id = f"run_{secrets.token_hex(8)}"
        with (
            self._driver.announced(run_id, len(request.prompt.encode())),
            traced_by(self._tracer),
            working_on(run_id),
            span("create run"),
        ):
            run = await self._store.create_run(
                run_id,
                request,
                limits=limits,
                model=self._settings.model,
                scripted=self._settings.scripted,
                key=key,
                digest=digest,
                owner=self._owners.me,
            )
            self._driver.start(run_id)
        return self._in_queue(run)

    async def get(self, run_id: str) -> Run:
        """Return a run, or raise the ``Problem`` that there is none, or no longer."""
        run = await self._store.run(run_id)
        if run is None:
            raise await self._missing(run_id)
        return self._in_queue(run)

    async def list(
        self, *, limit: int, before: ListPosition | None = None, search: str = ""
    ) -> Sequence[Run]:
        """Return runs, newest first and without their long texts, as ``Store.runs`` does."""
        runs = await self._store.runs(limit=limit, before=before, search=search)
        return [self._in_queue(run) for run in runs]

    def _in_queue(self, run: Run) -> Run:
        """Say where a run stands that waits for its turn here."""
        position = self._driver.queue.position(run.run_id)
        return run.model_copy(update={"queue_position": position}) if position else run

    async def _missing(self, run_id: str) -> Problem:
        """Return the problem that there is no such run, or no longer."""
        pruned_at = await self._store.pruned_at(run_id)
        if pruned_at is None:
            return _no_run(run_id)
        return Problem(
            "run_deleted",
            f"Run {run_id} was removed on {pruned_at:%Y-%m-%d} with its log and patches: this "
            "server keeps runs only so long, or so many; GET /runs lists those it has.",
        )

    async def variation(self, run_id: str, variation_id: int) -> Variation:
        """Return a variation, or raise the ``Problem`` that there is none."""
        return find_variation(await self.get(run_id), variation_id)

    async def patch(self, run_id: str, variation_id: int) -> AsyncIterator[bytes]:
        """Return a variation's patch, a unified diff, in pieces.

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
        return self._store.patch(run_id, variation_id)

    async def transcript(self, run_id: str, variation_id: int) -> AsyncIterator[bytes]:
        """Return all that a variation's agent has said until now, as lines of JSON, in pieces.

        Raises
        ------
        Problem
            If there is no such variation.
        """
        await self.variation(run_id, variation_id)
        return self._store.transcript(run_id, variation_id)

    async def select(self, run_id: str, variation_id: int | None, reason: str | None) -> None:
        """Record the winner; a later choice replaces it, and both are kept.

        Parameters
        ----------
        variation_id
            Who wins; ``None`` says that none of them is good enough.

        Raises
        ------
        Problem
            If the variation does not exist or has not completed; for none of them, if the run
            has not ended.
        """
        if variation_id is None:
            run = await self.get(run_id)
            if not run.status.ended:
                raise Problem(
                    "run_active", f"Run {run_id} is {run.status}: what it brings is not known yet."
                )
        else:
            await self._check_completed(run_id, variation_id)
        if not await self._store.select(run_id, variation_id, reason):
            raise await self._missing(run_id)  # deleted meanwhile

    async def _check_completed(self, run_id: str, variation_id: int) -> None:
        variation = await self.variation(run_id, variation_id)
        if variation.status is not Status.COMPLETED:
            raise Problem(
                "variation_not_completed",
                f"Variation {variation_id} is {variation.status}; select one that is completed.",
            )

    async def cancel(self, run_id: str) -> Run:
        """Tell a run to stop and wait until it has; one that has ended stays as it is.

        Raises
        ------
        Problem
            If there is no such run, or its end cannot be written for now.
        """
        run = await self.get(run_id)
        active = self._driver.active(run_id)
        if active is None:
            if not run.status.ended and not await self._is_ours_to_end(run_id):
                return await self.get(run_id)
            if left := await self._store.unfinished(run_id=run_id):
                # Nobody works on it, unless somebody else was as quick to see that.
                active = self._driver.active(run_id) or self._driver.end(left[0], cancelled)
        if active is not None:
            active.stop.set()
            while not await active.wait_ended(PATIENCE_SECONDS):
                if trouble := self._log.trouble:
                    raise Problem(
                        "storage_unavailable",
                        f"Run {run_id} was told to stop; its end is written as soon as that "
                        f"works: {trouble}",
                    )
        return await self.get(run_id)

    async def _is_ours_to_end(self, run_id: str) -> bool:
        """Have another gateway cancel its run; if that has died, the run is taken over."""
        owner = await self._store.owner(run_id)
        if owner == self._owners.me:
            return True
        if await self._owners.cancel(owner, run_id):
            return False
        async with self._owners.dead([owner]) as dead:
            if owner in dead:
                await self._store.claim([run_id], self._owners.me)
            return owner in dead

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


def _no_run(run_id: str) -> Problem:
    return Problem("run_not_found", f"There is no run {run_id!r}; GET /runs lists them.")


def find_variation(run: Run, variation_id: int) -> Variation:
    """Return a run's variation, or raise the ``Problem`` that there is none."""
    for variation in run.variations:
        if variation.variation_id == variation_id:
            return variation
    raise Problem(
        "variation_not_found",
        f"Run {run.run_id} has variations 1 to {len(run.variations)}, not {variation_id}.",
    )
