"""Commands and gateways from a program that has them loaded: for tests that need many.

Each is a process of its own, as from ``tests.support.command`` and ``tests.support.gateways``,
which start the installed program; what its start alone could break is to be tested there.
"""

import atexit
import contextlib
import functools
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from tests.support import fork_server, gateways
from tests.support.command import SECONDS, error_in
from tests.support.gateways import COMMAND, Gateway, environment


class Process:
    """A command that was forked; what it offers is as of ``subprocess.Popen``."""

    def __init__(
        self,
        words: Sequence[str],
        files: Sequence[int],
        cwd: Path,
        environment: dict[str, str],
        program: str = "aideator",
    ) -> None:
        answers = fork_server.ask(_server(program), [COMMAND, *words], files, environment, cwd)
        self._answers = os.fdopen(answers)
        self.pid = int(self._answers.readline())
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return its exit code once there is one."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended."""
        if self.returncode is None:
            if not select.select([self._answers], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(COMMAND, timeout or 0.0)
            self.returncode = int(self._answers.readline())
            self._answers.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


def run(
    *words: str,
    cwd: Path,
    expect: int = 0,
    stdin: bytes | None = None,
    seconds: float = SECONDS,
    **settings: str,
) -> subprocess.CompletedProcess[bytes]:
    """Run a command without a terminal and check its exit code."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, (
        tempfile.TemporaryFile()
    ) as err:  # fmt: skip
        given.write(stdin or b"")
        given.seek(0)
        process = Process(
            words, [f.fileno() for f in (given, out, err)], cwd, environment(**settings)
        )
        try:
            code = process.wait(seconds)
        finally:
            process.kill()
        said, errors = (_all(file) for file in (out, err))
    assert code == expect, errors.decode() + said.decode()
    assert b"Traceback" not in errors
    return subprocess.CompletedProcess(words, code, said, errors)


def error_of(*words: str, cwd: Path, expect: int = 1, **settings: str) -> str:
    """Run a command that fails, and return its one line of error."""
    return error_in(run(*words, cwd=cwd, expect=expect, stdin=None, seconds=SECONDS, **settings))


@contextlib.contextmanager
def started(*words: str, cwd: Path, output: IO[bytes], **settings: str) -> Iterator[Process]:
    """Start a command that writes to a file, and end it behind the block."""
    process = start(words, settings, output, cwd)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def serving(
    data_dir: Path, *flags: str, token: str | None = None, **settings: str
) -> contextlib.AbstractContextManager[Gateway]:
    """Serve on a free port until the block ends."""
    return gateways.started_by(start, data_dir, *flags, token=token, **settings)


def start(
    words: Sequence[str], settings: dict[str, str], output: IO[bytes], cwd: Path | None = None
) -> Process:
    """Start a command as ``tests.support.gateways.Start`` is to."""
    with Path(os.devnull).open("rb") as nothing:
        files = [f.fileno() for f in (nothing, output, output)]
        return Process(words, files, cwd or Path.cwd(), environment(**settings))


def _all(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()


@functools.cache
def _server(program: str) -> socket.socket:
    """Start what processes of a program are forked from, once for each process of tests."""
    kept = [_server("broker").fileno()] if program == "aideator" else []
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with its:
        process = subprocess.Popen(
            [sys.executable, fork_server.__file__, str(its.fileno()), program, *map(str, kept)],
            env=environment(), stdin=subprocess.DEVNULL, pass_fds=[its.fileno(), *kept],
        )  # fmt: skip

    def end() -> None:
        # Gateways that asked it for brokers have this socket, too.
        ours.shutdown(socket.SHUT_RDWR)
        ours.close()
        process.wait()

    atexit.register(end)
    return ours
