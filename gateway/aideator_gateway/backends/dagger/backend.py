"""Variations in containers of a Dagger engine: one query a run, events live over telemetry.

One session is held for as long as it works. It is opened in the background, opened again
when the engine was lost, and replaced when idle after a while, so that the engine can prune.
"""

import asyncio
import logging
import os
import time
from collections.abc import Mapping
from typing import Any

from aideator.protocol import MODEL_HOST, ErrorCode
from aideator_gateway.backends.broker.host import BrokerHost
from aideator_gateway.backends.commits.commits import Commits
from aideator_gateway.backends.dagger.engine import check_reachable, find_client, find_module
from aideator_gateway.backends.dagger.feed import Feed
from aideator_gateway.backends.dagger.forward import LogForwarder
from aideator_gateway.backends.dagger.query import Id, Query
from aideator_gateway.backends.dagger.run import ISOLATION, DaggerRun
from aideator_gateway.backends.dagger.session import DaggerSession, EngineLostError, QueryError
from aideator_gateway.backends.dagger.telemetry import LogReceiver
from aideator_gateway.backends.dagger.trees import Trees
from aideator_gateway.backends.workdir import WorkDirectory
from aideator_gateway.runs.backend import BackendError, RunSpec, Sink
from aideator_gateway.runs.model import Readiness
from aideator_gateway.settings import Settings
from aideator_gateway.waiting import unless

logger = logging.getLogger(__name__)

CONNECT_SECONDS = 30.0
START_ENGINE_SECONDS = 600.0
"""How long the client may take that has to pull and start an engine first."""

MODULE_SECONDS = 600.0
"""How long an engine that has never seen the module may take to build it."""

RETRY_SECONDS = (1.0, 2.0, 5.0, 10.0, 30.0)

SESSION_RUNS = 100
SESSION_SECONDS = 6 * 3600.0


class DaggerBackend:
    """Runs the ``run_variations`` of the Dagger module.

    Parameters
    ----------
    settings
        The model and the module.
    work
        Where runs have what is fetched and what comes back.
    broker
        What agents ask in place of the model's server; started and ended with the backend.
    commits
        What runs work on whose repository is on this machine.
    environ
        Environment of the Dagger client, which finds the engine by it.
    why
        Why this backend was chosen, if there was a choice.
    session_runs, session_seconds
        After so many runs, or so long, a session is replaced as soon as nothing runs in it.
    """

    name = "dagger"

    def __init__(
        self,
        settings: Settings,
        work: WorkDirectory,
        broker: BrokerHost,
        commits: Commits,
        environ: Mapping[str, str] | None = None,
        *,
        why: str = "",
        session_runs: int = SESSION_RUNS,
        session_seconds: float = SESSION_SECONDS,
    ) -> None:
        self._settings = settings
        self._broker = broker
        self._environ = dict(os.environ if environ is None else environ)
        self._why = f"{why}; " if why else ""
        self._session_runs = session_runs
        self._session_seconds = session_seconds
        self._work = work
        self._commits = commits
        self._receiver = LogReceiver(LogForwarder.of_environment(self._environ))
        self._opened: _Opened | None = None
        self._state = "the session with the engine is being opened"
        self._attempt: asyncio.Future[_Opened] = asyncio.get_running_loop().create_future()
        self._wanted = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None

    @property
    def no_checks(self) -> str | None:
        """Nothing is in the way of checks: they run in containers like agents."""
        return None

    async def start(self) -> None:
        """Listen for events and agents, and start to open a session."""
        await self._broker.start(port=True)
        await self._receiver.start()
        self._keeper = asyncio.create_task(self._keep(), name="dagger session")

    async def readiness(self) -> Readiness:
        """Say whether a run could start now."""
        opened = self._opened is not None and not self._opened.session.lost.is_set()
        problem = self._broker.problem
        return Readiness(
            ready=opened and problem is None,
            backend=self.name,
            isolation=ISOLATION,
            reason=problem or self._why + self._state,
            checks=self.no_checks is None,
            scripted=self._settings.scripted,
            model=self._settings.model,
            providers=self._broker.providers,
        )

    async def aclose(self) -> None:
        """End the session and the broker, and stop listening."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        await self._receiver.aclose()
        await self._broker.aclose()

    async def run(self, spec: RunSpec, sink: Sink, stop: asyncio.Event) -> None:
        """Carry out a run as one query."""
        self._broker.wake()
        opened = await unless(stop, self._take())
        if opened is None:
            return
        directory = self._work.make(spec.run_id)
        try:
            feed = Feed(spec.run_id, spec.variation_ids)
            run = DaggerRun(
                opened.session,
                opened.access,
                self._broker,
                self._commits,
                opened.trees,
                spec=spec,
                sink=sink,
                directory=directory,
                hosts=self._settings.repository_hosts,
            )
            with self._receiver.following(spec.run_id, feed):
                await run.follow(feed, stop)
        finally:
            opened.active -= 1
            self._work.remove(directory)

    async def _take(self) -> "_Opened":
        """Return the open session for one more run; if there is none, try to open one now."""
        opened = self._opened
        if opened is None or not await opened.session.alive():
            self._wanted.set()
            opened = await asyncio.shield(self._attempt)
        opened.runs += 1
        opened.active += 1
        return opened

    async def _keep(self) -> None:
        """Hold a session open for good."""
        failures = 0
        while True:
            attempt = self._attempt
            try:
                opened = await self._open()
            except Exception as error:  # noqa: BLE001 - whatever it was, the next try may work
                reason = error if isinstance(error, BackendError) else _unexpected(error)
                self._say(reason.message, logging.WARNING)
                self._attempt = asyncio.get_running_loop().create_future()
                attempt.set_exception(reason)
                attempt.exception()  # so that asyncio does not miss a reader
                await self._pause(RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)])
                failures += 1
                continue
            failures = 0
            try:
                self._opened = opened
                self._attempt = asyncio.get_running_loop().create_future()
                attempt.set_result(opened)
                self._say("a Dagger engine answers", logging.INFO)
                while not self._is_over(opened):
                    await opened.session.wait_lost(1.0)
                if opened.session.lost.is_set():
                    self._say("the Dagger engine does not answer any more", logging.WARNING)
            finally:
                self._opened = None
                await opened.session.aclose()

    def _is_over(self, opened: "_Opened") -> bool:
        """Whether the engine is lost, or the session is old and nothing runs in it."""
        age = time.monotonic() - opened.since
        worn = opened.runs >= self._session_runs or age >= self._session_seconds
        return opened.session.lost.is_set() or (worn and not opened.active)

    async def _pause(self, seconds: float) -> None:
        """Wait, unless somebody wants a session now."""
        self._wanted.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._wanted.wait()
        except TimeoutError:
            pass

    async def _open(self) -> "_Opened":
        module = find_module(self._settings.module)
        client = find_client(self._environ)
        if client.runner_host:
            await check_reachable(client.runner_host)
        session = await DaggerSession.open(
            client.command,
            {**client.environment, **self._receiver.environment},
            seconds=CONNECT_SECONDS if client.runner_host else START_ENGINE_SECONDS,
        )
        try:
            self._say("the engine answers; the module is being loaded", logging.INFO)
            async with asyncio.timeout(MODULE_SECONDS):
                await self._serve(session, module)
                return _Opened(session, await self._access(session))
        except BaseException as error:
            await session.aclose()
            match error:
                case QueryError() | EngineLostError():
                    reason = f"The Dagger module at {module} cannot be loaded: {error}"
                case TimeoutError():
                    reason = f"The Dagger module was not loaded within {MODULE_SECONDS:.0f} s."
                case _:
                    raise
            raise BackendError(ErrorCode.ENGINE_UNAVAILABLE, reason) from None

    async def _serve(self, session: DaggerSession, module: str) -> None:
        text = "query module($at: String!) { moduleSource(refString: $at) { asModule { serve } } }"
        await session.query(text, {"at": module})

    async def _access(self, session: DaggerSession) -> dict[str, Any]:
        """Return the arguments of the module's object: how agents reach the model."""
        port = self._broker.port
        access: dict[str, Any] = {
            "model": self._settings.model,
            "baseUrl": f"http://{MODEL_HOST}:{port}",
            "editorTool": self._settings.editor_tool,
        }
        # What leads into the engine is a way to this port, and no key.
        text = """query tunnel($port: Int!) {
            host { service(host: "127.0.0.1", ports: [{frontend: $port, backend: $port}]) { id } }
        }"""
        data = await session.query(text, {"port": port})
        access["modelService"] = Id(data["host"]["service"]["id"])
        # The engine makes the object once a session; better now than in the first run.
        query = Query()
        body = f"{{ {query.call('aideator', **access)} {{ id }} }}"
        await session.query(query.text("model", body), query.variables)
        return access

    def _say(self, state: str, level: int) -> None:
        if state != self._state:
            self._state = state
            logger.log(level, "%s%s", self._why, state)


class _Opened:
    """An open session, and what was made in it for all runs."""

    def __init__(self, session: DaggerSession, access: dict[str, Any]) -> None:
        self.session = session
        self.access = access
        self.trees = Trees(session)
        self.runs = 0
        self.active = 0
        self.since = time.monotonic()


def _unexpected(error: Exception) -> BackendError:
    logger.error("the session with the engine could not be opened", exc_info=error)
    return BackendError(
        ErrorCode.ENGINE_UNAVAILABLE,
        f"The session with the Dagger engine failed: {type(error).__name__}: {error}",
    )
