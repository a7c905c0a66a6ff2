"""Locks between gateways on one data directory, and between the runs of one gateway."""

import asyncio
import contextlib
import fcntl
import os
from pathlib import Path
from typing import Self

_POLL_SECONDS = 0.02


class FileLock:
    """A lock on a file, held until it is released; the system frees it if the process dies.

    It counts for each lock that was taken, also within one process.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    @classmethod
    def take(cls, path: Path, *, shared: bool = False) -> Self | None:
        """Take the lock on a file, which is made if it is missing; ``None`` if it is taken.

        Parameters
        ----------
        shared
            Others can share it; nobody can have it alone then.

        Raises
        ------
        OSError
            If the file cannot be made.
        """
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
                if _is(path, descriptor):
                    return cls(descriptor)
            except BlockingIOError:
                os.close(descriptor)
                return None
            except BaseException:
                os.close(descriptor)
                raise
            # Who had it before has removed the file, and others may lock a new one.
            os.close(descriptor)

    @classmethod
    async def wait(cls, path: Path) -> Self:
        """Take the lock on a file alone, as soon as it can be had."""
        # No thread waits in the system's call, from which it could not be called back.
        while (lock := cls.take(path)) is None:  # noqa: ASYNC110 - nothing tells when it is free
            await asyncio.sleep(_POLL_SECONDS)
        return lock

    def release(self) -> None:
        """Give it back; once is enough, twice does no harm."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def _is(path: Path, descriptor: int) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    return False
