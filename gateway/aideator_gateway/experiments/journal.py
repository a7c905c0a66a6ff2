"""What an experiment has done so far: a file to which a line is added for each step.

A line is on disk before the step that it tells of, or right after one that can be asked about
again. So an experiment that is killed, at whatever moment, goes on where it was.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aideator_gateway.experiments.append_only import (
    AppendOnly,
    Busy,
    JournalError,
    locked,
    read_entries,
)
from aideator_gateway.experiments.entries import Entry, entry_adapter

__all__ = ["Journal", "JournalError", "read_journal"]


class Journal(AppendOnly):
    """The journal of one experiment, held by whoever carries it out."""

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
            with locked(path, wait=False) as descriptor:
                yield cls(path, descriptor)
        except Busy:
            raise JournalError(
                f"Another command carries out this experiment ({path} is locked): wait until it "
                "has ended, or end it."
            ) from None

    def entries(self) -> list[Entry]:
        """Return what was written so far, in order."""
        return read_journal(self.path)


def read_journal(path: Path) -> list[Entry]:
    """Return the entries of a journal, none if there is no file.

    What was being written when a process was killed is left out.

    Raises
    ------
    JournalError
        If it cannot be read.
    """
    return read_entries(path, entry_adapter)
