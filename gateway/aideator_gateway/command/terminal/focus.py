"""Which of several variations is looked at, where only one can be seen."""

import time
from collections.abc import Callable

SETTLED_SECONDS = 3.0
"""How long whoever is looked at may be silent before another one is."""


class Focus:
    """Stays with a variation as long as it goes on, then moves to the one heard of last.

    One that a person has chosen stays until that person says otherwise.

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
        self._chosen: int | None = None

    def hear(self, number: int, *, ended: bool) -> None:
        """Take in that a variation said something, or came to its end."""
        self._active_at[number] = self._now()
        if ended:
            self._ended.add(number)
        else:
            self._last = number

    def choose(self, number: int | None) -> None:
        """Stay with a variation; ``None`` follows whoever speaks again."""
        self._chosen = number

    @property
    def number(self) -> int:
        """The variation to look at now."""
        if self._chosen is not None:
            # Whoever is followed again later has been seen until then.
            self._number = self._chosen
            self._active_at.setdefault(self._chosen, self._now())
            return self._chosen
        silent = self._now() - self._active_at[self._number] > SETTLED_SECONDS
        if (silent or self._number in self._ended) and self._last not in self._ended:
            self._number = self._last
        elif self._number in self._ended:
            going_on = [number for number in self._active_at if number not in self._ended]
            self._number = max(going_on, key=self._active_at.__getitem__, default=self._number)
        return self._number
