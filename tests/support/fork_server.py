"""A program that has everything loaded, and becomes the command or the broker as often as asked.

Most of what either costs is Python's start and its imports. Here they are done once: each is a
process of its own all the same, with its own directory, environment and files. So is the broker
of a gateway that was forked.
"""

import asyncio
import contextlib
import fcntl
import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import aideator_gateway
from aideator_gateway.backends.broker import process as broker_process

BROKERS = 3
"""Descriptor by which a command asks for brokers."""

# What is loaded only when it is used, or by name.
LATE = (
    "aideator_gateway.command.assembly", "aideator_gateway.command.experiment_gateway",
    "aideator_gateway.command.serving", "aideator_gateway.experiments.runner", "aiosqlite",
    "concurrent.futures.thread", "encodings.idna", "httpcore", "rich.console", "rich.markup",
    "rich.progress", "rich.syntax", "rich.table", "sqlalchemy.dialects.sqlite.aiosqlite",
    "swagger_ui", "uvicorn.lifespan.off", "uvicorn.lifespan.on", "uvicorn.loops.auto",
    "uvicorn.protocols.http.auto", "uvicorn.protocols.websockets.auto",
)  # fmt: skip
PACKAGES = ("backends", "command", "hosting", "http", "runs")


def command() -> Callable[[], object]:
    """Import what commands need."""
    for name in PACKAGES:
        package = importlib.import_module(f"aideator_gateway.{name}")
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not found.name.endswith("__main__"):
                importlib.import_module(found.name)
    for name in LATE:
        importlib.import_module(name)
    # The one thing in which it differs from the command that is installed.
    broker_process.start = ForkedBroker.start  # type: ignore[assignment, attr-defined]
    return aideator_gateway.main


def broker() -> Callable[[], object]:
    """Import what the broker needs, with the SDK that it else imports once it listens."""
    for name in ("anthropic", "aideator.broker.app", "aideator.broker.upstream"):
        importlib.import_module(name)
    return lambda: runpy.run_module("aideator.broker", run_name="__main__")


def serve(requests: socket.socket, kept: Sequence[int]) -> None:
    """Start a process for each request, and say how it ended; return in such a process.

    Each has, beside the files of its request, those that are kept.
    """
    running: dict[int, tuple[int, int]] = {}
    while True:
        poll = select.poll()
        for number in (requests.fileno(), *running):
            poll.register(number, select.POLLIN)
        for ready, _ in poll.poll():
            if ready != requests.fileno():
                pid, answer = running.pop(ready)
                code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                say(answer, code)
                os.close(answer)
                os.close(ready)
                continue
            message, handed, _, _ = socket.recv_fds(requests, 1 << 20, 16)
            if not message:
                os._exit(0)
            answer, *files = handed
            pid = os.fork()
            if pid == 0:
                requests.detach()
                become(json.loads(message), [*files, *kept])
                return
            running[os.pidfd_open(pid)] = (pid, answer)
            say(answer, pid)
            for number in files:
                os.close(number)


def say(answer: int, number: int) -> None:
    """Tell who asked, unless it is gone."""
    with contextlib.suppress(BrokenPipeError):
        os.write(answer, f"{number}\n".encode())


def become(request: dict[str, Any], files: list[int]) -> None:
    """Take over what the process is to have of its own, and nothing else."""
    if request["session"]:
        os.setsid()
    # First out of the way of each other.
    for target, number in enumerate([fcntl.fcntl(file, fcntl.F_DUPFD, 64) for file in files]):
        os.dup2(number, target, inheritable=target < 3)
    os.closerange(len(files), os.sysconf("SC_OPEN_MAX"))
    os.chdir(request["cwd"])
    os.umask(request["umask"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv[:] = request["words"]


def ask(
    server: socket.socket,
    words: Sequence[str],
    files: Sequence[int],
    environment: dict[str, str],
    cwd: Path,
    *,
    session: bool = False,
) -> int:
    """Ask for a process, and return where its id can be read, and then its exit code.

    Parameters
    ----------
    files
        Its descriptors, from 0 on.
    session
        Whether it leads a session of its own.
    """
    ours, answer = os.pipe()
    request = {
        "words": list(words), "environment": environment, "cwd": str(cwd), "umask": _umask(),
        "session": session,
    }  # fmt: skip
    try:
        socket.send_fds(server, [json.dumps(request).encode()], [answer, *files])
    except OSError:
        os.close(ours)
        raise
    finally:
        os.close(answer)
    return ours


def _umask() -> int:
    # To ask the system for it is to change it for a moment, for all threads.
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("Umask:")).split()[1], 8)


class ForkedBroker:
    """A gateway's broker; what it offers is as of ``asyncio.subprocess.Process``."""

    def __init__(self, pid: int, code: asyncio.StreamReader, pipes: Sequence[Any]) -> None:
        self.pid = pid
        self.stdin, self.stdout, self.stderr = pipes
        self._ended = asyncio.create_task(code.readline())

    @classmethod
    async def start(
        cls, *argv: str, pass_fds: Sequence[int], env: dict[str, str], limit: int, **_pipes: int
    ) -> Self:
        """Start it as ``aideator_gateway.backends.children.start`` would."""
        interpreter = [sys.executable, "-I", "-m", "aideator.broker"]
        assert list(argv[:4]) == interpreter
        # It gets the sockets on which it listens under other numbers.
        words = [str(3 + pass_fds.index(int(w))) if w.isdigit() else w for w in argv[4:]]
        pipes: list[int] = []
        try:
            for _ in range(3):
                pipes += os.pipe()
            its_input, to_it, from_it, its_output, errors, its_errors = pipes
            files = (its_input, its_output, its_errors, *pass_fds)
            with socket.socket(fileno=os.dup(BROKERS)) as server:
                answers = ask(server, ["broker", *words], files, env, Path.cwd(), session=True)
        except OSError:
            # A process may have no room for as many.
            for number in pipes:
                os.close(number)
            raise
        for number in files[:3]:
            os.close(number)
        stdin, _ = await asyncio.get_running_loop().connect_write_pipe(
            asyncio.BaseProtocol, os.fdopen(to_it, "wb")
        )
        stdout, stderr, said = [await _reader(n, limit) for n in (from_it, errors, answers)]
        return cls(int(await said.readline()), said, (stdin, stdout, stderr))

    async def wait(self) -> int:
        """Wait until it has ended, and return its exit code."""
        return int(await asyncio.shield(self._ended))


async def _reader(number: int, limit: int) -> asyncio.StreamReader:
    reader = asyncio.StreamReader(limit)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(number, "rb")
    )
    return reader


if __name__ == "__main__":
    requests, program, *descriptors = sys.argv[1:]
    main = {"aideator": command, "broker": broker}[program]()
    gc.freeze()
    serve(socket.socket(fileno=int(requests)), [int(number) for number in descriptors])
    main()
