"""A sandbox as a harness makes one: a workspace, a git directory, and the agent in it."""

import argparse
import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from aideator.agent.emitter import Emitter
from aideator.agent.report import Report
from aideator.agent.start import prepare
from aideator.agent.stop import Stop, nothing
from aideator.agent.textview import TextView
from aideator.protocol import (
    AnyEvent,
    CompletedEvent,
    EndEvent,
    FailedEvent,
    PatchEvent,
    Task,
    parse_line,
)
from tests.support.repositories import git

KEY = "sk-test-0123456789-never-shown"

E = TypeVar("E", bound=AnyEvent)

_ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "AIDEATOR_RUN_ID": "run_test",
    "AIDEATOR_VARIATION_ID": "2",
    "AIDEATOR_RETRY_SECONDS": "0.01",
    "ANTHROPIC_API_KEY": KEY,
}


@dataclass
class Outcome:
    """What one run of the agent left behind."""

    exit_code: int
    stdout: bytes
    stderr: str
    output: Path
    events: list[AnyEvent] = field(default_factory=list)

    @property
    def end(self) -> EndEvent:
        last = self.events[-1]
        assert isinstance(last, EndEvent), last
        return last

    @property
    def completed(self) -> CompletedEvent:
        assert isinstance(self.end, CompletedEvent), self.end
        return self.end

    @property
    def failed(self) -> FailedEvent:
        assert isinstance(self.end, FailedEvent), self.end
        return self.end

    @property
    def patch(self) -> PatchEvent:
        (patch,) = self.of(PatchEvent)
        return patch

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]


class Sandbox:
    """A repository's base commit, checked out without ``.git``, and room for results."""

    def __init__(self, directory: Path, files: Mapping[str, str | bytes]) -> None:
        self.directory = directory
        self.workspace = directory / "workspace"
        self.git_dir = directory / "base.git"
        self.output = directory / "output"
        self.workspace.mkdir(parents=True)
        git(self.workspace, "init", "--quiet", "--initial-branch=main")
        for name, content in files.items():
            self.put(name, content)
        self.commit()

    def put(self, name: str, content: str | bytes) -> Path:
        path = self.workspace / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def commit(self) -> None:
        """Commit everything and take ``.git`` out of the workspace."""
        inside = self.workspace / ".git"
        if self.git_dir.exists():
            self.git_dir.rename(inside)
        git(self.workspace, "add", "--all", "--force")
        git(self.workspace, "commit", "--quiet", "--allow-empty", "--message=Base")
        inside.rename(self.git_dir)

    def fresh(self) -> Path:
        """Return a new checkout of the base commit."""
        target = self.directory / f"fresh-{time.monotonic_ns()}"
        git(self.directory, "clone", "--quiet", str(self.git_dir), str(target))
        return target

    def run(
        self,
        base_url: str | None,
        *,
        events: str = "json",
        environment: Mapping[str, str] | None = None,
        secrets: Mapping[str, str] | None = None,
        **task: Any,
    ) -> Outcome:
        """Run an attempt in this process: all of the program but its start."""
        arguments = self._arguments(base_url, events, task)
        given = {**_ENVIRONMENT, **(environment or {})}
        printed = self.directory / "stdout"
        with printed.open("wb") as stdout:
            emitter = Emitter(
                run=given["AIDEATOR_RUN_ID"],
                variation=int(given["AIDEATOR_VARIATION_ID"]),
                attempt=1,
                output=arguments.output,
                view=None if events == "json" else TextView(),
                stdout=stdout.fileno(),
            )
            report = Report(emitter, arguments.output, time.monotonic())
            keys = {"ANTHROPIC_API_KEY": KEY} if secrets is None else secrets
            attempt = prepare(arguments, keys, given, emitter, report, Stop(nothing))
            asyncio.run(attempt.run())
            emitter.close()
        return self._outcome(0, printed.read_bytes(), b"")

    def start(
        self,
        base_url: str | None,
        *,
        events: str = "json",
        options: tuple[str, ...] = (),
        environment: Mapping[str, str] | None = None,
        stdout: int = subprocess.PIPE,
        **task: Any,
    ) -> "subprocess.Popen[bytes]":
        """Start the program itself."""
        arguments = self._arguments(base_url, events, task)
        words = [
            f"--{name.replace('_', '-')}={value}"
            for name, value in vars(arguments).items()
            if value is not None
        ]
        return subprocess.Popen(
            [sys.executable, "-m", "aideator.agent", *words, *options],
            env={**_ENVIRONMENT, **(environment or {})},
            cwd=self.directory,
            stdin=subprocess.PIPE,
            stdout=stdout,
            stderr=subprocess.PIPE,
            bufsize=0,  # what waits in a buffer of ours, communicate() does not see
        )

    @staticmethod
    def tell_to_stop(process: "subprocess.Popen[bytes]", how: str) -> None:
        """Tell the program to stop, by a ``signal`` or by the end of its ``stdin``."""
        if how == "signal":
            process.terminate()
        else:
            assert process.stdin is not None
            process.stdin.close()
            process.stdin = None

    def _arguments(
        self, base_url: str | None, events: str, given: Mapping[str, Any]
    ) -> argparse.Namespace:
        task = Task(base_url=base_url, **{"prompt": "Do it.", **given})
        path = self.directory / "task.json"
        path.write_text(task.model_dump_json())
        self.output.mkdir(exist_ok=True)
        return argparse.Namespace(
            task=path,
            workspace=self.workspace,
            git_dir=self.git_dir,
            index=None,
            output=self.output,
            events=events,
        )

    def finish(self, process: "subprocess.Popen[bytes]", seconds: float = 30) -> Outcome:
        """Wait for the program to end."""
        try:
            stdout, stderr = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            stdout, stderr = process.communicate()
            raise AssertionError(f"the agent hangs: {stdout[-2000:]!r} {stderr!r}") from None
        return self._outcome(process.returncode, stdout or b"", stderr)

    def _outcome(self, exit_code: int, stdout: bytes, stderr: bytes) -> Outcome:
        """Hold what came out to what every run must keep to."""
        lines = (self.output / "transcript.jsonl").read_bytes().splitlines()
        events = [parse_line(line) for line in lines]
        kept = [event for event in events if event is not None]
        assert len(kept) == len(lines)
        assert [event.seq for event in kept] == list(range(1, len(kept) + 1))
        assert sum(isinstance(event, EndEvent) for event in kept) == 1
        for place in (stdout, stderr, *(path.read_bytes() for path in self.output.iterdir())):
            assert KEY.encode() not in place
        return Outcome(exit_code, stdout, stderr.decode(), self.output, kept)
