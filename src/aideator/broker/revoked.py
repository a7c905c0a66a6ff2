"""Whose tokens open nothing any more."""

import time
from collections.abc import Callable, Iterable

from aideator.protocol.broker import Of
from aideator.protocol.tokens import MAX_TOKEN_SECONDS, Grant


class Revoked:
    """Variations whose attempts have ended; forgotten once no token of theirs can be valid.

    Parameters
    ----------
    clock
        Seconds that only go forward.
    """

    def __init__(
        self, at_start: Iterable[Of] = (), clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._since = {(who.run, who.variation): clock() for who in at_start}

    def add(self, who: Of) -> set[str]:
        """Revoke, and return the runs of which nothing is remembered any more."""
        now = self._clock()
        self._since.setdefault((who.run, who.variation), now)
        old = [key for key, since in self._since.items() if since + MAX_TOKEN_SECONDS < now]
        for key in old:
            del self._since[key]
        return {run for run, _ in old} - {run for run, _ in self._since}

    def __contains__(self, who: Of | Grant) -> bool:
        return (who.run, who.variation) in self._since
