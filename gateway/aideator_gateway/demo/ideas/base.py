"""What an idea is."""

from collections.abc import Iterator
from typing import Protocol

from aideator_gateway.demo.edits import Edit
from aideator_gateway.scripted_model.conversation import Seen


class Idea(Protocol):
    """A small edit that fits any repository."""

    @property
    def aim(self) -> str:
        """One sentence on what it is to bring about."""
        ...

    def look(self, seen: Seen) -> list[str]:
        """Return the files to read first, given the list of files; three at the most."""
        ...

    def edits(self, seen: Seen) -> Iterator[Edit]:
        """Return edits that would do, the best first; there may be none."""
        ...
