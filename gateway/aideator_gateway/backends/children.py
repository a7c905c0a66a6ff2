"""Programs that the gateway starts and waits for: none outlives it, none knows its secrets."""

import asyncio
import contextlib
import errno
import os
import shutil
import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

KEPT_BYTES = 64 * 1024
"""How much of each stream is kept: its end, which says what went wrong."""

_UNTIL_STDIN_ENDS = """
exec 3<&0 </dev/null
{ read -r _ <&3; kill -KILL 0; } >/dev/null 2>&1 &
watch=$!
"$@" 3<&-
code=$?
kill $watch
exit $code
"""
"""Runs a program, and kills the whole group once standard input ends.

The gateway holds the other end and never writes. So the program and what it has started go
with the gateway however that ends, on every system that has a shell.
"""

_DRAIN_SECONDS = 1.0


@dataclass(frozen=True)
class Ended:
    """How a program ended, and the last ``KEPT_BYTES`` of what it said."""

    code: int
    """Its exit code; 128 and the number of the signal if one killed it."""
    stdout: bytes
    stderr: bytes

    @property
    def said(self) -> str:
        """What it wrote to standard error, without the space around it."""
        return self.stderr.decode(errors="replace").strip()


def plain_environment() -> dict[str, str]:
    """Return what a program needs that reaches nothing but this machine's files."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}


async def start(*argv: str, **options: Any) -> asyncio.subprocess.Process:
    """Start a program as ``asyncio.create_subprocess_exec`` does, in a session of its own.

    Else Ctrl-C at a terminal would reach it, and look like a failure.

    A call that is cancelled leaves no program. Without this it may never come back: asyncio then
    waits for the end of pipes that it has not begun to read.
    """
    starting = asyncio.create_task(
        asyncio.create_subprocess_exec(*argv, start_new_session=True, **options)
    )
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        with contextlib.suppress(OSError):
            process = await starting
            kill_group(process)
            await process.communicate()
        raise


async def run(
    *argv: str,
    environment: Mapping[str, str],
    seconds: float,
    stdout: int | None = None,
    read: Callable[[asyncio.StreamReader | None], Awaitable[bytes]] | None = None,
) -> Ended:
    """Run a program to its end, in a session of its own and without input.

    If the call is cancelled, the program and what it started are killed before it returns.

    Parameters
    ----------
    argv
        The program, looked up on the environment's PATH, and its arguments.
    environment
        The whole environment.
    seconds
        How long it may take.
    stdout
        Descriptor of a file that takes what it writes to standard output; nothing of that is
        kept then.
    read
        Reads standard output to its end and returns what is kept of it. What it raises ends
        the program.

    Raises
    ------
    FileNotFoundError
        If there is no such program.
    TimeoutError
        If it took longer; it has been killed.
    """
    program = shutil.which(argv[0], path=environment.get("PATH"))
    if program is None:
        raise FileNotFoundError(errno.ENOENT, "not on PATH", argv[0])
    process = await start(
        "/bin/sh", "-c", _UNTIL_STDIN_ENDS, "sh", program, *argv[1:],
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE if stdout is None else stdout,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
    )  # fmt: skip
    assert process.stderr  # noqa: S101 - it is a pipe
    out = asyncio.ensure_future((read or tail)(process.stdout))
    err = asyncio.create_task(tail(process.stderr))
    try:
        async with asyncio.timeout(seconds):
            await asyncio.wait((out, err), return_when=asyncio.FIRST_EXCEPTION)
            if out.done():
                out.result()
            code = await process.wait()
    finally:
        kill_group(process)
        # A pipe is closed once it has been read to its end, and asyncio waits for that. What
        # reads may have given up in the middle.
        rest = asyncio.create_task(_rest(out, process.stdout))
        _, unread = await asyncio.wait((rest, err), timeout=_DRAIN_SECONDS)
        for reading in (rest, out, err):
            reading.cancel()
        if not unread:
            await process.wait()
    return Ended(code, out.result(), err.result())


async def _rest(reading: "asyncio.Future[bytes]", stream: asyncio.StreamReader | None) -> None:
    """Read what is left of a stream once another has stopped reading it."""
    await asyncio.wait((reading,))
    await tail(stream)


async def tail(stream: asyncio.StreamReader | None, keep: int = KEPT_BYTES) -> bytes:
    """Read a stream, if there is one, to its end, and return the last ``keep`` bytes of it."""
    kept = b""
    while stream is not None and (chunk := await stream.read(65536)):
        kept = (kept + chunk)[-keep:]
    return kept


async def kill(process: asyncio.subprocess.Process) -> None:
    """Kill what ``start`` started with all that is in its group, and wait for its end."""
    kill_group(process)
    # What nobody has read keeps a pipe open, and asyncio waits for its end.
    await tail(process.stdout)
    await process.wait()


def kill_group(process: asyncio.subprocess.Process) -> None:
    """Kill a process that leads a group of its own, and all that is in the group."""
    # macOS forbids signals to a group in which all have ended.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
