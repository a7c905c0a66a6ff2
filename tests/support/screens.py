"""What a person sees on a terminal: its screen, after all that was written to it."""

import time
from collections.abc import Callable

import pyte

from tests.support.command import SECONDS, Terminal


class Screen:
    """The screen of a terminal, which is read as far as it has come.

    Parameters
    ----------
    terminal
        Where a command runs.
    width, height
        In characters.
    """

    def __init__(self, terminal: Terminal, width: int, height: int) -> None:
        self._terminal = terminal
        self._screen = pyte.Screen(width, height)
        self._stream = pyte.ByteStream(self._screen)
        self._read = 0

    @property
    def rows(self) -> list[str]:
        """What is on it, line by line."""
        output = self._terminal.output
        self._stream.feed(output[self._read :])
        self._read = len(output)
        return [row.rstrip() for row in self._screen.display]

    def resize(self, width: int, height: int) -> None:
        """Give the window another size."""
        assert self.rows
        self._screen.resize(height, width)
        self._terminal.resize(width, height)

    def wait_until(self, seen: Callable[[list[str]], object], seconds: float = SECONDS) -> None:
        """Wait until the screen shows something."""
        deadline = time.monotonic() + seconds
        while not seen(self.rows):
            assert time.monotonic() < deadline, "\n".join(self.rows)
            assert self._terminal.read(), "\n".join(self.rows)

    def stays(self, seen: Callable[[list[str]], object], seconds: float) -> None:
        """Assert that the screen shows something for so long."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert self._terminal.read()
            assert seen(self.rows), "\n".join(self.rows)
