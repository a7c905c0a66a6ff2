"""Which of several variations is looked at, where only one can be seen."""

import time
from collections.abc import Callable

SETTLED_SECONDS = 3.0
"""How long whoever is looked at may be silent before another one is."""


class Focus:
    """Stays with a variation as long as it goes on, then moves to the one heard of last.

    Parameters
    ----------
    number
        The variation that is looked at first.
    now
        Tells the time, in seconds.
    """

    def __init__(self, number: int, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._number = number
        self._last = number
        self._active_at: dict[int, float] = {number: now()}
        self._ended: set[int] = set()

    def hear(self, number: int, *, ended: bool) -> None:
        """Take in that a variation said something, or came to its end."""
        self._active_at[number] = self._now()
        if ended:
            self._ended.add(number)
        else:
            self._last = number

    @property
    def number(self) -> int:
        """The variation to look at now."""
        silent = self._now() - self._active_at[self._number] > SETTLED_SECONDS
        if (silent or self._number in self._ended) and self._last not in self._ended:
            self._number = self._last
        elif self._number in self._ended:
            going_on = [number for number in self._active_at if number not in self._ended]
            self._number = max(going_on, key=self._active_at.__getitem__, default=self._number)
        return self._number
