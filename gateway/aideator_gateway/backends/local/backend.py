"""Variations as processes on this machine: one fetch a run, a fresh copy a variation."""

import asyncio
import logging
import os
import shutil
import sys
from pathlib import Path

from aideator.protocol import (
    GRACE_SECONDS,
    MAX_LINE_BYTES,
    EndEvent,
    ErrorCode,
    Secrets,
    parse_line,
)
from aideator_gateway.backends.children import kill_group, plain_environment, run, tail
from aideator_gateway.backends.git import fetch_commit, network_environment
from aideator_gateway.backends.local.checks import Checks, stopped_with_gateway
from aideator_gateway.backends.local.sandbox import bubblewrap_command, bubblewrap_problem
from aideator_gateway.backends.workdir import WorkDirectory
from aideator_gateway.runs.backend import BackendError, RunSpec, Sink, from_os_error
from aideator_gateway.runs.model import Readiness
from aideator_gateway.settings import Settings
from aideator_gateway.waiting import unless

logger = logging.getLogger(__name__)

STOP_SECONDS = 1.0
"""How long an agent that was told to stop may take to hand over its patch."""

COPY_SECONDS = 600.0
"""How long a variation's copy of the repository may take."""

_STDERR_BYTES = 4000


class LocalBackend:
    """Runs the agent program in local sandboxes.

    Parameters
    ----------
    settings
        The model's server and key.
    work
        Where sandboxes are made.
    why
        Why this backend was chosen, if there was a choice.
    """

    name = "local"

    def __init__(self, settings: Settings, work: WorkDirectory, *, why: str = "") -> None:
        self._settings = settings
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
        """Find out what can keep agents apart."""
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
        git = shutil.which("git") is not None
        return Readiness(
            ready=git,
            backend=self.name,
            isolation=self.isolation,
            reason=self._reason if git else "git is not installed, or not on PATH",
            checks=self.no_checks is None,
            scripted=self._settings.scripted,
            model=self._settings.model,
        )

    async def aclose(self) -> None:
        """Nothing outlives a run here."""

    async def run(self, spec: RunSpec, sink: Sink, stop: asyncio.Event) -> None:
        """Fetch the repository once and run all variations side by side."""
        directory = self._work.make(spec.run_id)
        try:
            base = directory / "base"
            commit = await unless(
                stop,
                fetch_commit(
                    spec.url, spec.ref,
                    hosts=self._settings.repository_hosts,
                    git_dir=base / "git", tree=base / "repo",
                ),
            )  # fmt: skip
            if commit is None:
                return
            await sink.prepared(commit=commit, isolation=self.isolation)
            async with asyncio.TaskGroup() as group:
                for number in spec.variation_ids:
                    group.create_task(self._variation(spec, number, directory, sink, stop))
        finally:
            self._work.remove(directory)

    async def _variation(
        self, spec: RunSpec, number: int, directory: Path, sink: Sink, stop: asyncio.Event
    ) -> None:
        sandbox = None
        try:
            try:
                sandbox = await unless(stop, self._sandbox(spec, number, directory))
                if sandbox is not None and not stop.is_set():
                    await self._agent(spec, number, sandbox, sink, stop)
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
        (sandbox / "task.json").write_text(spec.task(number).model_dump_json())
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
        if self._bubblewrap:
            argv = [*bubblewrap_command(sandbox), *argv]
        process = await asyncio.create_subprocess_exec(
            *argv,
            cwd=sandbox,
            env=self._environment(spec.run_id, number, sandbox),
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
                        await sink.event(event)
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
            kill_group(process)
            await process.wait()
            said = (await noise).decode(errors="replace").strip()
        if not ended and not stop.is_set():
            raise BackendError(ErrorCode.AGENT_CRASHED, self._scrub(_crash(code, said)))

    async def _check(
        self, spec: RunSpec, number: int, sandbox: Path, sink: Sink, stop: asyncio.Event
    ) -> None:
        if spec.check is None:
            return
        directory = sandbox.with_name(f"check{number}")
        try:
            result = await self._checks.check(
                spec.check, sandbox / "repo", directory, stop, seconds=spec.check_seconds
            )
        except asyncio.CancelledError:
            await sink.checked(number, stopped_with_gateway(spec.check))
            raise
        finally:
            self._work.remove_part(directory)
        # The key is in none of its programs; but an attempt may have got hold of it.
        shown = result.model_copy(update={"output": self._scrub(result.output)})
        await sink.checked(number, shown)

    def _environment(self, run_id: str, number: int, sandbox: Path) -> dict[str, str]:
        environment = {
            **network_environment(os.environ),
            "HOME": str(sandbox / "home"),
            "TMPDIR": str(sandbox / "tmp"),
            "AIDEATOR_RUN_ID": run_id,
            "AIDEATOR_VARIATION_ID": str(number),
            "AIDEATOR_ATTEMPT": "1",
        }
        if self._settings.api_key:
            environment["ANTHROPIC_API_KEY"] = self._settings.api_key.get_secret_value()
        if self._settings.auth_token:
            environment["ANTHROPIC_AUTH_TOKEN"] = self._settings.auth_token.get_secret_value()
        return environment

    def _scrub(self, text: str) -> str:
        given = (self._settings.api_key, self._settings.auth_token)
        secrets = Secrets(secret.get_secret_value() for secret in given if secret)
        return secrets.hidden_in(text)


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
