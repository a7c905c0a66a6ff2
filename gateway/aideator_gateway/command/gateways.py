"""The gateways that work on a data directory at this moment, and those that died there.

Each has a file of its own, ``gateways/ID.json``, and holds a lock on it for as long as it
lives. So a file that nobody holds, or that is missing, tells of a gateway that is gone,
however it ended, and an id is never used again.
"""

import asyncio
import fcntl
import json
import logging
import os
import re
import secrets
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aideator_gateway.backends.broker.listening import remove_socket
from aideator_gateway.command.api_error import ApiError
from aideator_gateway.command.client import Client
from aideator_gateway.command.datadir import (
    GATEWAYS,
    Address,
    is_locked,
    is_served,
    running_gateway,
    usable,
    write_private,
)

logger = logging.getLogger(__name__)

_FILE = re.compile(r"gw_[0-9a-f]{16}\.json")
_RECOVERY = "recovery.lock"
_RECOVERY_SECONDS = 30.0


def _new_id() -> str:
    return f"gw_{secrets.token_hex(8)}"


@dataclass(frozen=True)
class Instance:
    """One gateway."""

    url: str
    token: str | None
    serve: bool
    """Whether it is ``aideator serve``, which commands may use, or one command's own."""
    settings: dict[str, Any] = field(default_factory=dict)
    """What it was started with, as far as a command has to know."""
    id: str = field(default_factory=_new_id)
    pid: int = field(default_factory=os.getpid)
    started: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    @property
    def address(self) -> Address:
        """Where it can be called."""
        return Address(self.url, self.token)


def living(data_dir: Path) -> list[Instance]:
    """Return the gateways that work on the directory, the newest last."""
    found = [_read(path) for path in _files(data_dir) if is_locked(path)]
    return sorted((one for one in found if one is not None), key=lambda one: one.started)


def serving(data_dir: Path) -> Instance | None:
    """Return the gateway that serves the directory to others, if one does."""
    return next((one for one in living(data_dir) if one.serve), None)


class Gateways:
    """The gateways on one data directory, as one of them sees the others.

    Parameters
    ----------
    data_dir
        The directory.
    instance
        The gateway that looks.
    """

    def __init__(self, data_dir: Path, instance: Instance) -> None:
        self._data_dir = data_dir
        self._directory = data_dir / GATEWAYS
        self._instance = instance

    @property
    def me(self) -> str:
        """Id of this gateway."""
        return self._instance.id

    @property
    def serves(self) -> bool:
        """Whether this gateway serves the directory to others."""
        return self._instance.serve

    @contextmanager
    def joined(self) -> Iterator[None]:
        """Be known to the others while the block runs.

        Raises
        ------
        StartError
            If that cannot be written down.
        """
        path = self._path(self.me)
        new = path.with_name(f".{path.name}")
        with usable(self._data_dir):
            self._directory.mkdir(mode=0o700, exist_ok=True)
            try:
                write_private(new, json.dumps(asdict(self._instance)))
                descriptor = os.open(new, os.O_RDONLY)
            except OSError:
                new.unlink(missing_ok=True)
                raise
        try:
            # Locked before others can see it: they take a file without a lock for a dead one's.
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            new.replace(path)
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
        finally:
            os.close(descriptor)

    def alive(self, owner: str | None) -> bool:
        """Whether a gateway lives; ``None`` is one of a version that had no ids."""
        if owner is not None:
            return is_locked(self._path(owner))
        # Such a one holds the directory's lock, which now the serving gateway does.
        return not self._instance.serve and is_served(self._data_dir)

    @asynccontextmanager
    async def dead(self, owners: Iterable[str | None]) -> AsyncIterator[frozenset[str | None]]:
        """Give those of ``owners`` that have died; nobody else recovers while the block runs."""
        descriptor = os.open(self._directory / _RECOVERY, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if not await _alone(descriptor):
                yield frozenset()  # whoever is at it does the same
                return
            known = {path.stem for path in _files(self._data_dir)}
            gone = frozenset(one for one in known.union(owners) if not self.alive(one))
            yield gone
            for one in gone - {None}:
                self._path(str(one)).unlink(missing_ok=True)
                remove_socket(self._directory, str(one))
        finally:
            os.close(descriptor)

    async def cancel(self, owner: str | None, run_id: str) -> bool:
        """Have another gateway cancel its run and wait until it has; whether it answered."""
        address = self._address(owner)
        if address is None:
            return False
        try:
            with Client(address) as client:
                await asyncio.to_thread(client.cancel, run_id)
        except ApiError as error:
            logger.warning("run %s could not be cancelled where it runs: %s", run_id, error)
            return error.status != 0
        return True

    def _address(self, owner: str | None) -> Address | None:
        if not self.alive(owner):
            return None
        if owner is None:
            return running_gateway(self._data_dir)
        instance = _read(self._path(owner))
        return None if instance is None else instance.address

    def _path(self, owner: str) -> Path:
        return self._directory / f"{owner}.json"


def _files(data_dir: Path) -> list[Path]:
    try:
        entries = list((data_dir / GATEWAYS).iterdir())
    except OSError:
        return []
    return [path for path in entries if _FILE.fullmatch(path.name)]


def _read(path: Path) -> Instance | None:
    try:
        return Instance(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


async def _alone(descriptor: int) -> bool:
    """Take the lock that recovery goes on under; whether it was to be had."""
    deadline = time.monotonic() + _RECOVERY_SECONDS
    while time.monotonic() < deadline:
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        await asyncio.sleep(0.02)
    return False
