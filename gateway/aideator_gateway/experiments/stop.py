"""A wish to stop, which comes while something else is done."""

import threading


class Stop:
    """A wish to stop: once for no more runs, twice to cancel those at work too."""

    def __init__(self) -> None:
        self.level = 0
        self._changed = threading.Event()

    def press(self, level: int | None = None) -> None:
        """Wish it once more, or as if so often."""
        self.level = self.level + 1 if level is None else max(self.level, level)
        self._changed.set()

    def wait(self, seconds: float) -> None:
        """Wait, unless it is wished for meanwhile."""
        self._changed.wait(seconds)
        self._changed.clear()
