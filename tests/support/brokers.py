"""A broker as a process of its own, and callers of it."""

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import httpx

from aideator.protocol.tokens import Grant, run_secret, token_for
from tests.support.forked import Process

SIGNING_SECRET = "signing-secret-of-these-tests-0123456789"  # noqa: S105
KEY = "sk-canary-0123456789abcdef"
MODEL = "claude-sonnet-5-5"
SECONDS = 60.0


def token(
    run: str = "run_1", variation: int = 1, *, secret: str = SIGNING_SECRET, **claims: Any
) -> str:
    """Return a token, for an hour and one model if not said otherwise."""
    claims = {"models": (MODEL,), "exp": time.time() + 3600, **claims}
    return token_for(run_secret(secret, run), Grant(run=run, variation=variation, **claims))


def request(**fields: Any) -> dict[str, Any]:
    """Return the body of a request for a stream."""
    said = [{"role": "user", "content": "Hi."}]
    return {"model": MODEL, "max_tokens": 64, "stream": True, "messages": said, **fields}


class RunningBroker:
    """One that listens, on a port and on a Unix socket."""

    def __init__(self, process: Process, stdin: IO[bytes], stdout: IO[bytes], errors: Path) -> None:
        self.process = process
        self.stdin = stdin
        self._stdout = stdout
        self._errors = errors
        self.lines: list[dict[str, Any]] = []
        self._changed = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()
        self.ready = self.line("ready")
        self.base_url = f"http://127.0.0.1:{self.ready['port']}"
        self.http = httpx.Client(base_url=self.base_url, trust_env=False, timeout=SECONDS)

    def post(self, token: str, body: dict[str, Any] | bytes | None = None) -> httpx.Response:
        """Ask for a message and return the whole answer."""
        return self.http.post("/v1/messages", **self.sent(token, body))

    def sent(self, token: str, body: dict[str, Any] | bytes | None = None) -> dict[str, Any]:
        """Return what is sent to ask for a message."""
        data = body if isinstance(body, bytes) else json.dumps(body or request()).encode()
        headers = {"x-api-key": token, "content-type": "application/json"}
        return {"content": data, "headers": headers}

    def say(self, **message: Any) -> None:
        """Send a control message."""
        self.stdin.write(json.dumps(message).encode() + b"\n")
        self.stdin.flush()

    def line(self, key: str, count: int = 1, *, run: str | None = None) -> dict[str, Any]:
        """Wait for the n-th line of a kind, or of those about a run."""
        with self._changed:
            self._changed.wait_for(
                lambda: len(self._of(key, run)) >= count or self.process.poll() is not None,
                SECONDS,
            )
            found = self._of(key, run)
            assert len(found) >= count, self.errors
            return found[count - 1]

    def refused(self) -> dict[str, int]:
        """Return how many requests were refused, by cause."""
        before = len(self._of("report"))
        self.say(report=True)
        counts: dict[str, int] = self.line("report", before + 1)["report"]["refused"]
        return counts

    @property
    def errors(self) -> str:
        """What it wrote to standard error."""
        return self._errors.read_text()

    def _of(self, key: str, run: str | None = None) -> list[dict[str, Any]]:
        lines = [line for line in self.lines if key in line]
        return [line for line in lines if run is None or line[key]["run"] == run]

    def _read(self) -> None:
        # Closed by nobody else: this goes on for a moment after the broker has ended.
        with self._stdout:
            for line in self._stdout:
                with self._changed:
                    self.lines.append(json.loads(line))
                    self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()


def configuration(base_url: str, **settings: Any) -> dict[str, Any]:
    """Return a configuration with one provider, whose key is the canary."""
    provider = {"base_url": base_url, "api_key": {"value": KEY}, **settings.pop("provider", {})}
    return {
        "signing_secret": {"value": SIGNING_SECRET},
        "providers": {"main": provider},
        "default_provider": "main",
        **settings,
    }


def command(*flags: str | Path) -> list[str]:
    """Return the command line that starts a broker."""
    return [sys.executable, "-I", "-m", "aideator.broker", *map(str, flags)]


@contextmanager
def broker_for(
    directory: Path, config: dict[str, Any], *flags: str, **environment: str
) -> Iterator[RunningBroker]:
    """Start a broker that gets its configuration on standard input.

    It is forked from a program that has the SDK loaded.
    """
    errors = directory / "broker-errors"
    words = ("--port", "0", "--socket", str(directory / "broker.sock"), *flags)
    (its_input, to_it), (from_it, its_output) = os.pipe(), os.pipe()
    with errors.open("wb") as stderr:
        files = (its_input, its_output, stderr.fileno())
        process = Process(words, files, Path.cwd(), {**os.environ, **environment}, "broker")
    os.close(its_input)
    os.close(its_output)
    with os.fdopen(to_it, "wb") as stdin:
        try:
            stdin.write(json.dumps(config).encode() + b"\n")
            stdin.flush()
            broker = RunningBroker(process, stdin, os.fdopen(from_it, "rb"), errors)
            with broker.http:
                yield broker
        finally:
            process.kill()
            process.wait()
