"""The ``aideator`` command as people start it: piped, or on a terminal of its own."""

import fcntl
import io
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from aideator_gateway.command.cli import main
from tests.support.gateways import COMMAND, environment

SECONDS = 90


def run(
    *words: str, cwd: Path, expect: int = 0, stdin: bytes | None = None,
    seconds: float = SECONDS, **settings: str,
) -> subprocess.CompletedProcess[bytes]:  # fmt: skip
    """Run the command without a terminal and check its exit code."""
    done = subprocess.run(
        [COMMAND, *words],
        cwd=cwd,
        env=environment(**settings),
        input=stdin or b"",
        capture_output=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == expect, done.stderr.decode() + done.stdout.decode()
    assert b"Traceback" not in done.stderr
    return done


def run_here(
    *words: str, cwd: Path, expect: int = 0, stdin: bytes | None = None, **settings: str
) -> subprocess.CompletedProcess[bytes]:
    """Run the command as ``run`` does, but in this process, which takes a tenth of the time.

    For commands that look at or change what a serving gateway has. It shows nothing of how a
    process starts and ends, nor of signals.
    """
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.TextIOWrapper(io.BytesIO(), "utf-8")
    code = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(cwd)
        wanted = environment(**settings)
        for name in os.environ.keys() - wanted.keys():
            patch.delenv(name)
        for name, text in wanted.items():
            patch.setenv(name, text)
        for name, value in (
            ("argv", [COMMAND, *words]), ("stdout", out), ("stderr", err),
            ("stdin", io.TextIOWrapper(io.BytesIO(stdin or b""), "utf-8")),
        ):  # fmt: skip
            patch.setattr(sys, name, value)
        try:
            main()
        except SystemExit as left:
            code = int(left.code or 0)
        out.flush()
        err.flush()
    done = subprocess.CompletedProcess(
        [COMMAND, *words], code, out.buffer.getvalue(), err.buffer.getvalue()
    )
    assert code == expect, done.stderr.decode() + done.stdout.decode()
    return done


def error_of(*words: str, cwd: Path, expect: int = 1, here: bool = False, **settings: str) -> str:
    """Run a command that fails, ``here`` or in a process, and return its one line of error."""
    if here:
        done = run_here(*words, cwd=cwd, expect=expect, stdin=None, **settings)
    else:
        done = run(*words, cwd=cwd, expect=expect, stdin=None, seconds=SECONDS, **settings)
    return error_in(done)


def error_in(done: subprocess.CompletedProcess[bytes]) -> str:
    """Return the one line of error of a command that has failed."""
    lines = done.stderr.decode().splitlines()
    errors = [line for line in lines if line.startswith("Error: ")]
    assert len(errors) == 1, lines
    return errors[0].removeprefix("Error: ")


class Terminal:
    """A command that runs on a pseudo-terminal."""

    def __init__(self, process: subprocess.Popen[bytes], master: int) -> None:
        self.process = process
        self.output = b""
        self._master = master

    @property
    def open(self) -> bool:
        """Whether it has not been closed."""
        return self._master >= 0

    def read_until(self, text: str, seconds: float = SECONDS, *, since: int = 0) -> None:
        """Read until ``text`` has been shown, in the output from byte ``since`` on."""
        deadline = time.monotonic() + seconds
        while text.encode() not in self.output[since:]:
            assert time.monotonic() < deadline, self.output.decode(errors="replace")
            assert self.read(), self.output.decode(errors="replace")

    def type(self, text: str) -> None:
        """Type ``text``; ``\\x03`` is Ctrl-C."""
        os.write(self._master, text.encode())

    def resize(self, width: int, height: int) -> None:
        """Give its window another size."""
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def finish(self, seconds: float = SECONDS) -> int:
        """Read the rest and return the exit code."""
        deadline = time.monotonic() + seconds
        while self.read():
            assert time.monotonic() < deadline, self.output.decode(errors="replace")
        return self.process.wait(max(0.1, deadline - time.monotonic()))

    @property
    def modes(self) -> int:
        """The terminal's local modes, of ``termios``."""
        modes: int = termios.tcgetattr(self._master)[3]
        return modes

    def hang_up(self) -> None:
        """Close the terminal, as its window does."""
        os.close(self._master)
        self._master = -1

    def read(self) -> bool:
        """Take in what there is; whether more may come."""
        ready, _, _ = select.select([self._master], [], [], 0.2)
        if not ready:
            return True
        try:
            chunk = os.read(self._master, 65536)
        except OSError:  # what Linux says when the other side has closed
            return False
        self.output += chunk
        return bool(chunk)


@contextmanager
def terminal(
    *words: str, cwd: Path, width: int = 80, height: int = 40, **settings: str
) -> Iterator[Terminal]:
    """Run the command on a terminal of the given size."""
    with on_terminal([COMMAND, *words], cwd, width, height, settings) as shown:
        yield shown


@contextmanager
def on_terminal(
    words: Sequence[str], cwd: Path, width: int, height: int, settings: Mapping[str, str]
) -> Iterator[Terminal]:
    """Run any program on a terminal of the given size."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def take_terminal() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    process = subprocess.Popen(
        words,
        cwd=cwd,
        env=environment(TERM="xterm-256color", **settings),
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        # Ctrl-C reaches a process only on the terminal that controls it.
        preexec_fn=take_terminal,  # noqa: PLW1509 - the tests' process has no other threads here
    )
    os.close(slave)
    try:
        shown = Terminal(process, master)
        try:
            yield shown
        finally:
            if shown.open:
                shown.hang_up()
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait()
