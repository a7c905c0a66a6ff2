"""Files to which one line of JSON is added for each thing that happens, and nothing is changed.

A line is on disk when ``append`` returns. What a process was writing when it was killed is no
line, and is taken away by the next one that opens the file.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

E = TypeVar("E")


class JournalError(Exception):
    """What was written down cannot be used; the text is for the user."""


class Busy(Exception):  # noqa: N818 - nothing is wrong
    """Another process holds the file."""


class AppendOnly:
    """A file that lines are added to.

    Parameters
    ----------
    path
        The file.
    descriptor
        Of the file, open and locked.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor
        self._broken: JournalError | None = None

    def append(self, entry: BaseModel) -> None:
        """Add a line, and return once it is on disk.

        Raises
        ------
        JournalError
            If it cannot be written.
        """
        if self._broken is not None:
            raise self._broken
        line = memoryview(entry.model_dump_json().encode() + b"\n")
        try:
            while line:
                line = line[os.write(self._descriptor, line) :]
            os.fsync(self._descriptor)
        except OSError as error:
            # What comes behind half a line could not be read: the next one who opens it mends it.
            self._broken = unusable(self.path, error)
            raise self._broken from None


@contextmanager
def locked(path: Path, *, wait: bool) -> Iterator[int]:
    """Hold a file while the block runs; it is made if there is none, and mended.

    Parameters
    ----------
    wait
        For another process that holds it.

    Raises
    ------
    Busy
        If another process holds it, and is not waited for.
    JournalError
        If it cannot be written.
    """
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError as error:
        raise unusable(path, error) from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise Busy from None
        _mend(descriptor, path)
        yield descriptor
    finally:
        os.close(descriptor)


def read_entries(path: Path, adapter: TypeAdapter[E]) -> list[E]:
    """Return what the lines of a file say, nothing if there is no file.

    What was being written when a process was killed is left out.

    Raises
    ------
    JournalError
        If it cannot be read.
    """
    try:
        whole, _, _ = path.read_bytes().rpartition(b"\n")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise unusable(path, error) from None
    entries: list[E] = []
    for number, line in enumerate(whole.split(b"\n") if whole else [], start=1):
        try:
            entries.append(adapter.validate_json(line))
        except ValidationError as error:
            raise JournalError(
                f"Line {number} of {path} cannot be read ({error.errors()[0]['msg']}): use the "
                "version of AIdeator that wrote it, or move the file away to begin anew."
            ) from None
    return entries


def unusable(path: Path, error: OSError) -> JournalError:
    """Return the error that the system does not let a file be used."""
    return JournalError(
        f"The journal {path} cannot be used ({error.strerror}): see that there is room on the "
        "disk and that you may write there. Nothing of the experiment is lost."
    )


def _mend(descriptor: int, path: Path) -> None:
    """Take away the part of a line that a process left which was killed."""
    try:
        held = path.read_bytes()
        whole = held.rfind(b"\n") + 1
        if whole < len(held):
            os.ftruncate(descriptor, whole)
            os.fsync(descriptor)
    except OSError as error:
        raise unusable(path, error) from None
