"""What an experiment has done so far: a file to which a line is added for each step.

A line is on disk before the step that it tells of, or right after one that can be asked about
again. So an experiment that is killed, at whatever moment, goes on where it was.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ValidationError

from aideator_gateway.experiments.entries import Entry, entry_adapter


class JournalError(Exception):
    """A journal cannot be used; the text is for the user."""


class Journal:
    """The journal of one experiment, held by whoever carries it out.

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

    @classmethod
    @contextmanager
    def opened(cls, path: Path) -> Iterator["Journal"]:
        """Hold a journal while the block runs; it is made if there is none.

        Raises
        ------
        JournalError
            If another process holds it, or it cannot be written.
        """
        try:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError as error:
            raise _unusable(path, error) from None
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise JournalError(
                    f"Another command carries out this experiment ({path} is locked): wait until "
                    "it has ended, or end it."
                ) from None
            _mend(descriptor, path)
            yield cls(path, descriptor)
        finally:
            os.close(descriptor)

    def entries(self) -> list[Entry]:
        """Return what was written so far, in order."""
        return read_journal(self.path)

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
            self._broken = _unusable(self.path, error)
            raise self._broken from None


def read_journal(path: Path) -> list[Entry]:
    """Return the entries of a journal, none if there is no file.

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
        raise _unusable(path, error) from None
    entries: list[Entry] = []
    for number, line in enumerate(whole.split(b"\n") if whole else [], start=1):
        try:
            entries.append(entry_adapter.validate_json(line))
        except ValidationError as error:
            raise JournalError(
                f"Line {number} of {path} cannot be read ({error.errors()[0]['msg']}): use the "
                "version of AIdeator that wrote it, or move the file away to begin anew."
            ) from None
    return entries


def _mend(descriptor: int, path: Path) -> None:
    """Take away the part of a line that a process left which was killed."""
    try:
        held = path.read_bytes()
        whole = held.rfind(b"\n") + 1
        if whole < len(held):
            os.ftruncate(descriptor, whole)
            os.fsync(descriptor)
    except OSError as error:
        raise _unusable(path, error) from None


def _unusable(path: Path, error: OSError) -> JournalError:
    return JournalError(
        f"The journal {path} cannot be used ({error.strerror}): see that there is room on the "
        "disk and that you may write there. Nothing of the experiment is lost."
    )
