"""The real command, serving on a free port with a real database."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

import httpx
from httpx_sse import ServerSentEvent, connect_sse

COMMAND = str(Path(sys.executable).with_name("aideator"))
SECONDS = 60.0
ENDED = ("completed", "failed", "cancelled", "interrupted")


class Process(Protocol):
    """A process that was started, as ``subprocess.Popen`` offers it."""

    @property
    def pid(self) -> int: ...

    # As of ``Popen``, to which it is assigned.
    returncode: Any

    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, number: int, /) -> None: ...
    def terminate(self) -> None: ...
    def kill(self) -> None: ...


Start = Callable[[Sequence[str], dict[str, str], IO[bytes]], Process]
"""Starts the command with words and settings, its output in a file."""

Serving = Callable[..., contextlib.AbstractContextManager["Gateway"]]
"""Serves in a data directory, with flags and settings."""


@dataclass
class Gateway:
    """A running gateway."""

    process: Process
    url: str
    data_dir: Path
    log: Path
    http: httpx.Client

    def create(self, **body: Any) -> str:
        """Start a run and return its id."""
        response = self.http.post("/runs", json={"prompt": "Do it.", **body})
        assert response.status_code == 202, response.text
        return str(response.json()["run_id"])

    def run(self, run_id: str) -> dict[str, Any]:
        """Return a run."""
        response = self.http.get(f"/runs/{run_id}")
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found

    def stream(self, run_id: str, last_event_id: str | None = None) -> Iterator[ServerSentEvent]:
        """Read a run's stream to its end with a real SSE client."""
        headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
        with connect_sse(self.http, "GET", f"/runs/{run_id}/stream", headers=headers) as source:
            source.response.raise_for_status()
            # A ping, which is a comment, comes out of this client as an event without data.
            yield from (event for event in source.iter_sse() if event.data)

    def finish(self, run_id: str) -> dict[str, Any]:
        """Wait until a run has ended, and return it."""
        for event in self.stream(run_id):
            if event.event == "end":
                break
        return self.run(run_id)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Stop the process and wait for it."""
        self.process.send_signal(number)
        self.process.wait(SECONDS)


def environment(**settings: str) -> dict[str, str]:
    """Return the environment of a command: none of the caller's own settings are in it."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AIDEATOR_", "ANTHROPIC_", "OTEL_"))
        # Programs that run tests in parallel set these; a terminal has a size of its own.
        and name not in ("COLUMNS", "LINES")
    }
    return {**clean, **settings}


def _installed(ulimit: str | None) -> Start:
    limited = [] if ulimit is None else ["sh", "-c", f'ulimit {ulimit} && exec "$@"', "sh"]

    def start(words: Sequence[str], settings: dict[str, str], output: IO[bytes]) -> Process:
        return subprocess.Popen(
            [*limited, COMMAND, *words], env=environment(**settings),
            stdin=subprocess.DEVNULL, stdout=output, stderr=output,
        )  # fmt: skip

    return start


def serving(
    data_dir: Path,
    *flags: str,
    token: str | None = None,
    ulimit: str | None = None,
    **settings: str,
) -> contextlib.AbstractContextManager[Gateway]:
    """Run ``aideator serve`` on a free port until the block ends; ``ulimit`` is its shell's."""
    return started_by(_installed(ulimit), data_dir, *flags, token=token, **settings)


@contextlib.contextmanager
def started_by(
    start: Start, data_dir: Path, *flags: str, token: str | None = None, **settings: str
) -> Iterator[Gateway]:
    """Run a gateway that is started in some way until the block ends."""
    log = data_dir.with_name(f"{data_dir.name}.log")
    address = data_dir / "server.json"
    address.unlink(missing_ok=True)
    words = ("serve", "--port", "0", "--data-dir", str(data_dir), *flags)
    if token:
        settings["AIDEATOR_TOKEN"] = token
    with log.open("ab") as output:
        process = start(words, settings, output)
    try:
        deadline = time.monotonic() + SECONDS
        while not address.exists():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        url = json.loads(address.read_text())["url"]
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        with httpx.Client(base_url=url, headers=headers, timeout=SECONDS, trust_env=False) as http:
            yield Gateway(process, url, data_dir, log, http)
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
