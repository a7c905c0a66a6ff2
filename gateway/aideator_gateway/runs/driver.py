"""Runs that this gateway works on: driven by the backend, told to stop, and ended for sure."""

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any, TypeVar

from aideator.protocol import ErrorCode, tasks_of
from aideator_gateway.runs.backend import BackendError, RunSpec, from_os_error
from aideator_gateway.runs.context import working_on
from aideator_gateway.runs.dependencies import Dependencies
from aideator_gateway.runs.ends import Outcome, cancelled, failed, interrupted
from aideator_gateway.runs.lane import PAUSES
from aideator_gateway.runs.model import Run
from aideator_gateway.runs.queue import Queue
from aideator_gateway.runs.recorder import Recorder
from aideator_gateway.runs.screen import Screen
from aideator_gateway.runs.storage import StorageError
from aideator_gateway.runs.tracing import spanned
from aideator_gateway.waiting import unless

logger = logging.getLogger(__name__)

T = TypeVar("T")

CLOSE_SECONDS = 5.0
"""How long runs may take to end when the gateway stops; the rest is left to the next start."""


class Driver:
    """Carries out runs, each in a task of its own.

    Parameters
    ----------
    dependencies
        What they are worked on with.
    """

    def __init__(self, dependencies: Dependencies) -> None:
        self._settings = dependencies.settings
        self._store = dependencies.store
        self._log = dependencies.log
        self._backend = dependencies.backend
        self._metrics = dependencies.metrics
        self._active: dict[str, Active] = {}
        self.queue = Queue(self._settings, self._metrics)
        """Runs that wait for their turn."""
        self._closing = asyncio.Event()

    @property
    def closing(self) -> bool:
        """Whether the gateway stops, and takes no new runs."""
        return self._closing.is_set()

    def active(self, run_id: str) -> "Active | None":
        """Return a run that is worked on."""
        return self._active.get(run_id)

    @contextlib.contextmanager
    def announced(self, run_id: str, prompt_bytes: int) -> Iterator[None]:
        """Count a run as worked on while it is written down, so that nobody takes it for lost.

        Raises
        ------
        Problem
            If too many wait already.
        """
        self.queue.join(run_id, prompt_bytes)
        self._active[run_id] = Active()
        try:
            yield
        finally:
            if self._active[run_id].task is None:
                self._forget(run_id)

    def start(self, run_id: str) -> None:
        """Begin to carry out an announced run, which is in the database."""
        active = self._active[run_id]
        self._work(run_id, active, spanned("run", self._drive(run_id, active.stop)))

    def end(self, run: Run, outcome: Outcome) -> "Active":
        """Begin to end a run that nobody works on; ``outcome`` is what has not ended by itself."""
        active = self._active[run.run_id] = Active()
        recorder = Recorder(self._store, self._log, run, self._metrics, found=True)
        self._work(run.run_id, active, self._finish(recorder, outcome))
        return active

    def _work(self, run_id: str, active: "Active", work: Coroutine[Any, Any, None]) -> None:
        with working_on(run_id):
            active.task = asyncio.create_task(work, name=run_id)
        active.task.add_done_callback(lambda _: self._forget(run_id))
        self._metrics.runs_active.set(len(self._active))

    def _forget(self, run_id: str) -> None:
        self.queue.leave(run_id)
        self._active.pop(run_id).ended.set()
        self._metrics.runs_active.set(len(self._active))
        self._log.forget(run_id)

    async def aclose(self) -> None:
        """Interrupt all runs, and wait until their ends are written, if that works soon."""
        self._closing.set()
        tasks = [active.task for active in self._active.values() if active.task is not None]
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=CLOSE_SECONDS)
        for task in late:
            logger.warning("the end of %s is left to the next start", task.get_name())
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _drive(self, run_id: str, stop: asyncio.Event) -> None:
        if not await unless(self._closing, self._turn(run_id, stop)):
            # Nothing of it was begun, so its prompt is not needed.
            left = await self._stored(lambda: self._store.unfinished(run_id=run_id))
            if left:
                recorder = Recorder(self._store, self._log, left[0], self._metrics)
                await self._finish(recorder, cancelled if stop.is_set() else interrupted)
            return
        try:
            run = await self._stored(lambda: self._store.run(run_id))
            if run is None:
                return  # somebody has deleted it
            recorder = Recorder(self._store, self._log, run, self._metrics)
            outcome = await unless(self._closing, self._carry_out(run, recorder, stop))
        finally:
            self.queue.done()
        if stop.is_set():
            outcome = cancelled
        await self._finish(recorder, outcome or interrupted)

    async def _turn(self, run_id: str, stop: asyncio.Event) -> bool | None:
        return await unless(stop, self.queue.turn(run_id))

    async def _stored(self, read: Callable[[], Awaitable[T]]) -> T:
        """Return what is read from the database, once that works."""
        for pause in _pauses():
            try:
                return await read()
            except StorageError as error:
                logger.warning("a run cannot be read yet: %s", error)
                await asyncio.sleep(pause)
        raise AssertionError  # there is always another pause

    async def _carry_out(self, run: Run, recorder: Recorder, stop: asyncio.Event) -> Outcome:
        """Let the backend work, and return how what has not ended then ends."""
        try:
            if not stop.is_set():
                self._check_credentials(run)
                await recorder.started(self._backend.name)
                screen = Screen(recorder, self._settings.secrets)
                await self._backend.run(self._spec(run), screen, stop)
            return failed(ErrorCode.AGENT_CRASHED, "The agent ended without saying how it went.")
        except Exception as error:
            if recorder.trouble is None and not isinstance(error, BackendError):
                logger.exception("run %s failed", run.run_id)
            recorder.failure = recorder.trouble or _failure(error)
            return failed(recorder.failure.code, recorder.failure.message)

    async def _finish(self, recorder: Recorder, outcome: Outcome) -> None:
        """Write what ends a run, again and again until it is in."""
        for pause in _pauses():
            try:
                await recorder.finish(outcome)
            except Exception as error:  # noqa: BLE001 - an end that is not written must be tried on
                recorder.doubt()
                logger.warning("the end of a run is not written yet: %s", error)
                await asyncio.sleep(pause)
            else:
                return

    def _check_credentials(self, run: Run) -> None:
        """End a run early none of whose variations could ask; else each ends by itself."""
        names = [variation.condition.provider for variation in run.variations]
        problems = [self._settings.key_problem(name) for name in names]
        if problems[0] and all(problems):
            raise BackendError(ErrorCode.MISSING_API_KEY, problems[0])

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
                providers={name: one.known for name, one in self._settings.providers.items()},
            ),
        )


class Active:
    """A run that this process works on."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        """Set to cancel it."""
        self.ended = asyncio.Event()
        self.task: asyncio.Task[None] | None = None
        """``None`` until it is in the database."""

    async def wait_ended(self, seconds: float) -> bool:
        """Wait until nothing works on it, and return whether that was in time."""
        try:
            async with asyncio.timeout(seconds):
                return await self.ended.wait()
        except TimeoutError:
            return False


def _pauses() -> Iterator[float]:
    """Give the seconds between tries, of which there is no last."""
    return itertools.chain(PAUSES, itertools.repeat(PAUSES[-1]))


def _failure(error: Exception) -> BackendError:
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    match error:
        case BackendError():
            return error
        case OSError():
            return from_os_error(error)
    return BackendError(
        ErrorCode.SANDBOX_FAILED, f"The gateway failed: {type(error).__name__}: {error}"
    )
