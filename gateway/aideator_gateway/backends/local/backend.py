"""Variations as processes on this machine: one fetch a run, a fresh copy a variation."""

import asyncio
import logging
import shutil
import sys
from pathlib import Path

from aideator.protocol import (
    GRACE_SECONDS,
    MAX_LINE_BYTES,
    EndEvent,
    ErrorCode,
    parse_line,
)
from aideator_gateway.backends.broker.host import BrokerHost
from aideator_gateway.backends.children import kill_group, plain_environment, run, tail
from aideator_gateway.backends.git import fetch_commit
from aideator_gateway.backends.local.checks import Checks, stopped_with_gateway
from aideator_gateway.backends.local.sandbox import bubblewrap_command, bubblewrap_problem
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

COPY_SECONDS = 600.0
"""How long a variation's copy of the repository may take."""

BROKER_URL = "http://broker"
"""What agents are told to be the model's server; the socket is what they call."""

_STDERR_BYTES = 4000


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
    why
        Why this backend was chosen, if there was a choice.
    """

    name = "local"

    def __init__(
        self, settings: Settings, work: WorkDirectory, broker: BrokerHost, *, why: str = ""
    ) -> None:
        self._settings = settings
        self._broker = broker
        self._why = f"{why}; " if why else ""
        self._work = work
        self._bubblewrap = False
        self._reason = ""
        self._checks = Checks(settings)

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
        notes = filter(None, (problem or "bubblewrap works", self._checks.note))
        self._reason = self._why + "; ".join(notes)
        if problem:
            logger.warning(
                "%s: agents run as plain processes with resource limits and can read "
                "what this user can read",
                problem,
            )

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
        """End the broker; nothing else outlives a run here."""
        await self._broker.aclose()

    async def run(self, spec: RunSpec, sink: Sink, stop: asyncio.Event) -> None:
        """Fetch the repository once and run all variations side by side."""
        self._broker.wake()
        directory = self._work.make(spec.run_id)
        try:
            base = directory / "base"
            commit = await unless(
                stop,
                spanned(
                    "fetch",
                    fetch_commit(
                        spec.url, spec.ref,
                        hosts=self._settings.repository_hosts,
                        git_dir=base / "git", tree=base / "repo",
                    ),
                ),
            )  # fmt: skip
            if commit is None:
                return
            await sink.prepared(commit=commit, isolation=self.isolation)
            async with asyncio.TaskGroup() as group:
                for number in spec.variation_ids:
                    with working_on(spec.run_id, number):
                        work = self._variation(spec, number, directory, sink, stop)
                        group.create_task(spanned("variation", work))
        finally:
            self._broker.forget(spec.run_id)
            self._work.remove(directory)

    async def _variation(
        self, spec: RunSpec, number: int, directory: Path, sink: Sink, stop: asyncio.Event
    ) -> None:
        sandbox = None
        try:
            try:
                sandbox = await unless(
                    stop, spanned("copy", self._sandbox(spec, number, directory))
                )
                if sandbox is not None and not stop.is_set():
                    await spanned("agent", self._agent(spec, number, sandbox, sink, stop))
            except BackendError as error:
                await sink.failed(number, error)
            except OSError as error:
                logger.exception("variation %s of %s failed", number, spec.run_id)
                await sink.failed(number, from_os_error(error))
            if sandbox is not None and not stop.is_set():
                await self._check(spec, number, sandbox, sink, stop)
        finally:
            self._work.remove_part(directory / f"v{number}")

    async def _sandbox(self, spec: RunSpec, number: int, directory: Path) -> Path:
        """Make a variation's own directory: repository, git, home, temp, output, task."""
        sandbox = directory / f"v{number}"
        try:
            copy = await run(
                "cp", "-a", str(directory / "base"), str(sandbox),
                environment=plain_environment(), seconds=COPY_SECONDS,
            )  # fmt: skip
        except TimeoutError:
            raise BackendError(
                ErrorCode.SANDBOX_FAILED,
                f"The repository could not be copied within {COPY_SECONDS:.0f} s.",
            ) from None
        if copy.code != 0:
            full = "No space left" in copy.said
            raise BackendError(
                ErrorCode.DISK_FULL if full else ErrorCode.SANDBOX_FAILED,
                f"The repository could not be copied: {copy.said}",
            )
        for name in ("home", "tmp", "out"):
            (sandbox / name).mkdir()
        task = spec.task(number).model_copy(update={"base_url": BROKER_URL})
        (sandbox / "task.json").write_text(task.model_dump_json())
        return sandbox

    async def _agent(
        self, spec: RunSpec, number: int, sandbox: Path, sink: Sink, stop: asyncio.Event
    ) -> None:
        argv = [
            sys.executable,
            # Isolated: nothing in the repository or the environment can become a module.
            "-I", "-m", "aideator.agent",
            "--task", str(sandbox / "task.json"),
            "--workspace", str(sandbox / "repo"),
            "--git-dir", str(sandbox / "git"),
            "--output", str(sandbox / "out"),
            "--events", "json",
            "--watch-stdin",
        ]  # fmt: skip
        if self._broker.problem is not None:
            text = f"No model can be asked: {self._broker.problem}."
            raise BackendError(ErrorCode.CONNECTION_FAILED, text)
        if self._bubblewrap:
            argv = [*bubblewrap_command(sandbox, readable=[str(self._broker.socket)]), *argv]
        process = await asyncio.create_subprocess_exec(
            *argv,
            cwd=sandbox,
            env=self._environment(spec, number, sandbox),
            # Kept open while the agent may work: its end tells the agent to stop, also
            # when the gateway dies without a word.
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=MAX_LINE_BYTES,
            start_new_session=True,
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
            kill_group(process)
            await process.wait()
            said = (await noise).decode(errors="replace").strip()
        if not ended and not stop.is_set():
            raise BackendError(ErrorCode.AGENT_CRASHED, _crash(code, said))

    async def _check(
        self, spec: RunSpec, number: int, sandbox: Path, sink: Sink, stop: asyncio.Event
    ) -> None:
        if spec.check is None:
            return
        directory = sandbox.with_name(f"check{number}")
        try:
            with span("check"):
                result = await self._checks.check(
                    spec.check, sandbox / "repo", directory, stop, seconds=spec.check_seconds
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
