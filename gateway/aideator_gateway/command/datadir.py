"""The data directory: whose it is, and the one gateway that serves it to others."""

import asyncio
import contextlib
import fcntl
import json
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from aideator_gateway.runs.problems import StartError
from aideator_gateway.settings import CONFIG_FILE

DATABASE = "aideator.db"
WORK = "work"
COMMITS = "commits"
MAKING = ".making"
"""In the directory of commits: those that are on their way in or out."""
GATEWAYS = "gateways"
EXPERIMENTS = "experiments"
_LOCK = "aideator.lock"
_ADDRESS = "server.json"
_OURS = {DATABASE, _LOCK, _ADDRESS, GATEWAYS, EXPERIMENTS, COMMITS}
_MAY_BE_THERE = {
    "styles",
    CONFIG_FILE,  # made by the user, who may do so first
    "lost+found",  # in the root of a file system
}
_LOCK_SECONDS = 1.0
"""How long the lock may be busy because others look whether somebody holds it."""


@dataclass(frozen=True)
class Address:
    """Where a running gateway can be called."""

    url: str
    token: str | None


def prepare(path: Path) -> None:
    """Create the directory, readable by its owner alone, or see that it is ours to use.

    It is if our database is in it, or nothing of others. Its mode stays as it is.

    Raises
    ------
    StartError
        If it cannot be created or written, or is somebody else's.
    """
    with usable(path):
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        names = {entry.name for entry in path.iterdir()}
    if not os.access(path, os.W_OK | os.X_OK):
        raise StartError(
            f"The data directory {path} cannot be written: name another one with --data-dir."
        )
    others = sorted(names - _OURS - _MAY_BE_THERE)
    if others and DATABASE not in names:
        some = ", ".join(others[:3]) + (", …" if len(others) > 3 else "")
        raise StartError(
            f"{path} has other files in it ({some}) and is no data directory of AIdeator's: "
            "name a new or an empty one with --data-dir."
        )


@contextlib.contextmanager
def usable(path: Path) -> Iterator[None]:
    """Say of the system's errors in the block that the data directory cannot be used.

    Raises
    ------
    StartError
        In place of an ``OSError``.
    """
    try:
        yield
    except OSError as error:
        raise StartError(
            f"The data directory {path} cannot be used ({error.strerror}): "
            "name another one with --data-dir."
        ) from None


@asynccontextmanager
async def sole_server(path: Path, holder: str) -> AsyncIterator[None]:
    """Be the one gateway that serves the directory, until the block ends.

    Parameters
    ----------
    holder
        Words for who serves it now, if somebody does; may be empty.

    Raises
    ------
    StartError
        If another gateway does.
    """
    with usable(path):
        descriptor = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        deadline = time.monotonic() + _LOCK_SECONDS
        while not _taken(descriptor, fcntl.LOCK_EX):
            if time.monotonic() > deadline:
                raise StartError(
                    f"Another gateway is using the data directory {path}{holder}: stop it, or "
                    "name another directory with --data-dir."
                )
            await asyncio.sleep(0.02)
        try:
            yield
        finally:
            (path / _ADDRESS).unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def announce(path: Path, address: Address) -> None:
    """Write down where the directory is served, for commands on this machine."""
    target = path / f"{_ADDRESS}.new"
    target.unlink(missing_ok=True)
    write_private(target, json.dumps(asdict(address)))
    # Who waits for the address must never read half of it.
    target.replace(path / _ADDRESS)


def running_gateway(path: Path) -> Address | None:
    """Return where the gateway that serves the directory listens, ``None`` if there is none."""
    if not is_locked(path / _LOCK):
        return None
    try:
        return Address(**json.loads((path / _ADDRESS).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def is_served(path: Path) -> bool:
    """Whether a gateway serves the directory, or one of an earlier version uses it."""
    return is_locked(path / _LOCK)


def write_private(path: Path, text: str) -> None:
    """Write a new file that its owner alone can read."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def is_locked(path: Path) -> bool:
    """Whether a process holds the file."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        # Shared: those who look are not in each other's way.
        return not _taken(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _taken(descriptor: int, kind: int) -> bool:
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        return True
    return False
