"""Variations as processes on this machine, each with a tree of its own of one kept commit."""

import asyncio
import logging
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from aideator.protocol import (
    GRACE_SECONDS,
    MAX_LINE_BYTES,
    EndEvent,
    ErrorCode,
    parse_line,
)
from aideator_gateway.backends.broker.host import BrokerHost
from aideator_gateway.backends.children import (
    kill,
    kill_group,
    plain_environment,
    run,
    start,
    tail,
)
from aideator_gateway.backends.commits.commits import Commits, Kept
from aideator_gateway.backends.local.checks import Checks, stopped_with_gateway
from aideator_gateway.backends.local.sandbox import (
    PROBE_SECONDS,
    REMEDY,
    bubblewrap_command,
    bubblewrap_problem,
)
from aideator_gateway.backends.local.tree import Tree
from aideator_gateway.backends.local.trees import WAYS, Trees, Way
from aideator_gateway.backends.workdir import WorkDirectory
from aideator_gateway.runs.backend import BackendError, RunSpec, Sink, from_os_error
from aideator_gateway.runs.context import working_on
from aideator_gateway.runs.model import Readiness
from aideator_gateway.runs.tracing import span, spanned
from aideator_gateway.settings import Settings
from aideator_gateway.waiting import unless

logger = logging.getLogger(__name__)

STOP_SECONDS = 1.0
"""How long an agent that was told to stop may take to hand over its patch."""

BROKER_URL = "http://broker"
"""What agents are told to be the model's server; the socket is what they call."""

_STDERR_BYTES = 4000

_AGENT_PROBE = "cat kept && echo new >>kept && rm old && echo new >new"
_CHECK_PROBE = "test ! -e old && cat new >>kept && rm kept && mkdir old && touch old/new"
"""What is done to a tree to see whether it works, first by an agent and then by a check."""


class LocalBackend:
    """Runs the agent program in local sandboxes.

    Parameters
    ----------
    settings
        What repositories and checks are allowed.
    work
        Where sandboxes are made.
    broker
        Speaks to the model's server for agents; started and closed here.
    commits
        What runs work on.
    why
        Why this backend was chosen, if there was a choice.
    ways
        How trees of files may be made, the best way first.
    """

    name = "local"

    def __init__(
        self,
        settings: Settings,
        work: WorkDirectory,
        broker: BrokerHost,
        commits: Commits,
        *,
        why: str = "",
        ways: Sequence[Way] = WAYS,
    ) -> None:
        self._settings = settings
        self._broker = broker
        self._why = f"{why}; " if why else ""
        self._work = work
        self._bubblewrap = False
        self._reason = ""
        self._checks = Checks(settings)
        self._commits = commits
        self._trees = Trees(work, ways)
        self._trying: asyncio.Task[None] | None = None

    @property
    def isolation(self) -> str:
        """``bubblewrap`` or ``process``."""
        return "bubblewrap" if self._bubblewrap else "process"

    @property
    def no_checks(self) -> str | None:
        """Why no checks are run, if none are."""
        return self._checks.problem

    async def start(self) -> None:
        """Listen for agents, and find out what can keep them apart."""
        await self._broker.start()
        problem = await bubblewrap_problem()
        self._bubblewrap = problem is None
        await self._checks.start(problem)
        # No run needs it before its commit is there.
        self._trying = asyncio.create_task(
            self._trees.start(self._try_tree, bubblewrap=self._bubblewrap), name="trees"
        )
        notes = filter(None, (problem or "bubblewrap works", self._checks.note))
        self._reason = self._why + "; ".join(notes)
        if problem:
            logger.warning(
                "%s: agents run as plain processes with resource limits and can read what this "
                "user can read. %s, or start with --backend dagger",
                problem,
                REMEDY,
            )

    async def _try_tree(self, tree: Tree) -> str | None:
        """Use a tree as agents and checks will; return what is wrong with it, if anything."""
        ended = await run(
            *self._shown(tree, ["sh", "-c", f'cd "$1" && {_AGENT_PROBE}', "sh", str(tree.path)]),
            environment=plain_environment(), seconds=PROBE_SECONDS,
        )  # fmt: skip
        if ended.code != 0:
            return ended.said or f"it ended with {ended.code}"
        if self.no_checks is not None:
            return None
        found = await self._checks.check(
            _CHECK_PROBE, tree, tree.path.parent.with_name("check"), asyncio.Event(),
            seconds=PROBE_SECONDS,
        )  # fmt: skip
        return None if found.passed else found.output

    def _shown(self, tree: Tree, argv: Sequence[str], readable: Iterable[Path] = ()) -> list[str]:
        """Return a command that sees a tree, and what is beside it, in the sandbox of agents."""
        if not self._bubblewrap:
            return tree.seen_by(argv)
        sandbox = bubblewrap_command(
            tree.path.parent, readable=map(str, readable), options=tree.bubblewrap_options
        )
        return tree.seen_by([*sandbox, *argv], as_itself=False)

    async def readiness(self) -> Readiness:
        """Say whether a run could start now."""
        problem = self._broker.problem
        if shutil.which("git") is None:
            problem = "git is not installed, or not on PATH"
        return Readiness(
            ready=problem is None,
            backend=self.name,
            isolation=self.isolation,
            reason=problem or self._reason,
            checks=self.no_checks is None,
            scripted=self._settings.scripted,
            model=self._settings.model,
            providers=self._broker.providers,
        )

    async def aclose(self) -> None:
        """End the broker, and what is still being tried; nothing else outlives a run here."""
        if self._trying is not None:
            self._trying.cancel()
            await asyncio.wait([self._trying])
        await self._broker.aclose()

    async def run(self, spec: RunSpec, sink: Sink, stop: asyncio.Event) -> None:
        """Take the commit that all variations start from, and run them side by side."""
        self._broker.wake()
        kept = await unless(stop, spanned("fetch", self._commit(spec)))
        if kept is None:
            return
        try:
            directory = self._work.make(spec.run_id)
            try:
                await sink.prepared(
                    commit=kept.commit, isolation=self.isolation, copies=self._trees.copies
                )
                async with asyncio.TaskGroup() as group:
                    for number in spec.variation_ids:
                        with working_on(spec.run_id, number):
                            work = self._variation(spec, number, kept, directory, sink, stop)
                            group.create_task(spanned("variation", work))
            finally:
                self._broker.forget(spec.run_id)
                self._work.remove(directory)
        finally:
            kept.release()

    async def _commit(self, spec: RunSpec) -> Kept:
        """Take the run's commit, and see that it is known how to make trees of it."""
        kept = await self._commits.take(spec.url, spec.ref)
        try:
            if self._trying is not None:
                await asyncio.shield(self._trying)
        except BaseException:
            kept.release()
            raise
        return kept

    async def _variation(
        self,
        spec: RunSpec,
        number: int,
        kept: Kept,
        directory: Path,
        sink: Sink,
        stop: asyncio.Event,
    ) -> None:
        tree = None
        try:
            try:
                tree = await unless(
                    stop, spanned("copy", self._sandbox(spec, number, kept, directory))
                )
                if tree is not None and not stop.is_set():
                    await spanned("agent", self._agent(spec, number, kept, tree, sink, stop))
            except BackendError as error:
                await sink.failed(number, error)
            except OSError as error:
                logger.exception("variation %s of %s failed", number, spec.run_id)
                await sink.failed(number, from_os_error(error))
            if tree is not None and not stop.is_set():
                await self._check(spec, number, tree, sink, stop)
        finally:
            for name in ("v", "layer"):
                self._work.remove_part(directory / f"{name}{number}")

    async def _sandbox(self, spec: RunSpec, number: int, kept: Kept, directory: Path) -> Tree:
        """Make a variation's own directory: home, temp, output, task and its tree."""
        sandbox = directory / f"v{number}"
        for name in ("home", "tmp", "out"):
            (sandbox / name).mkdir(parents=True)
        task = spec.task(number).model_copy(update={"base_url": BROKER_URL})
        (sandbox / "task.json").write_text(task.model_dump_json())
        return await self._trees.make(kept.tree, sandbox / "repo", directory / f"layer{number}")

    async def _agent(
        self,
        spec: RunSpec,
        number: int,
        kept: Kept,
        tree: Tree,
        sink: Sink,
        stop: asyncio.Event,
    ) -> None:
        sandbox = tree.path.parent
        argv = [
            sys.executable,
            # Isolated: nothing in the repository or the environment can become a module.
            "-I", "-m", "aideator.agent",
            "--task", str(sandbox / "task.json"),
            "--workspace", str(tree.path),
            "--git-dir", str(kept.git_dir),
            "--index", str(kept.index),
            "--output", str(sandbox / "out"),
            "--events", "json",
            "--watch-stdin",
        ]  # fmt: skip
        if self._broker.problem is not None:
            text = f"No model can be asked: {self._broker.problem}."
            raise BackendError(ErrorCode.CONNECTION_FAILED, text)
        process = await start(
            *self._shown(tree, argv, [self._broker.socket, kept.git_dir]),
            cwd=sandbox,
            env=self._environment(spec, number, sandbox),
            # Kept open while the agent may work: its end tells the agent to stop, also
            # when the gateway dies without a word.
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=MAX_LINE_BYTES,
        )
        assert process.stdin and process.stdout and process.stderr  # noqa: S101 - they are pipes
        noise = asyncio.create_task(tail(process.stderr, _STDERR_BYTES))
        stopper = asyncio.create_task(_stop(process, stop))
        ended = False
        try:
            async with asyncio.timeout(spec.task(number).limits.max_seconds + GRACE_SECONDS):
                async for line in process.stdout:
                    event = parse_line(line)
                    if event is not None and event.variation == number:
                        await sink.event(event, line.rstrip(b"\r\n"))
                        ended = ended or isinstance(event, EndEvent)
                code = await process.wait()
        except TimeoutError:
            raise BackendError(
                ErrorCode.TIMED_OUT, "The agent did not end by itself and was killed."
            ) from None
        except ValueError:
            raise BackendError(
                ErrorCode.AGENT_CRASHED, f"The agent wrote a line over {MAX_LINE_BYTES} bytes."
            ) from None
        finally:
            stopper.cancel()
            self._broker.revoke(spec.run_id, number)
            await kill(process)
            said = (await noise).decode(errors="replace").strip()
        if not ended and not stop.is_set():
            raise BackendError(ErrorCode.AGENT_CRASHED, _crash(code, said))

    async def _check(
        self, spec: RunSpec, number: int, tree: Tree, sink: Sink, stop: asyncio.Event
    ) -> None:
        if spec.check is None:
            return
        directory = tree.path.parent.with_name(f"check{number}")
        try:
            with span("check"):
                result = await self._checks.check(
                    spec.check, tree, directory, stop, seconds=spec.check_seconds
                )
        except asyncio.CancelledError:
            await sink.checked(number, stopped_with_gateway(spec.check))
            raise
        finally:
            self._work.remove_part(directory)
        await sink.checked(number, result)

    def _environment(self, spec: RunSpec, number: int, sandbox: Path) -> dict[str, str]:
        return {
            **plain_environment(),
            "HOME": str(sandbox / "home"),
            "TMPDIR": str(sandbox / "tmp"),
            "AIDEATOR_RUN_ID": spec.run_id,
            "AIDEATOR_VARIATION_ID": str(number),
            "AIDEATOR_ATTEMPT": "1",
            "AIDEATOR_MODEL_SOCKET": str(self._broker.socket),
            # It opens the broker for this attempt alone, and is no key of the model's server.
            "ANTHROPIC_AUTH_TOKEN": self._broker.token(spec, number),
        }


async def _stop(process: asyncio.subprocess.Process, stop: asyncio.Event) -> None:
    await stop.wait()
    if process.stdin:
        process.stdin.close()
    await asyncio.sleep(STOP_SECONDS)
    kill_group(process)


def _crash(code: int, said: str) -> str:
    how = f"was killed by signal {-code}" if code < 0 else f"exited with status {code}"
    last = said.splitlines()[-1] if said else "it said nothing"
    return f"The agent {how}: {last}"
