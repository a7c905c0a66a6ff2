"""Single keys, while a run is watched: read at once, and not shown.

The terminal is put back on every way out, Ctrl-C and an error included. Ctrl-C and Ctrl-Z stay
signals; a process that is stopped leaves the terminal as it found it.
"""

import atexit
import contextlib
import os
import re
import select
import signal
import sys
import termios
import threading
import tty
from collections.abc import Callable
from types import FrameType
from typing import Any

_KEY = re.compile(rb"\x1b[\[O][A-Z]|\x1b[\[O][0-9;]*[~A-Za-z]|.", re.DOTALL)

NAMES = {
    b"\t": "next",
    b"\x1b[C": "next",
    b"\x1b[B": "next",
    b"\x1bOC": "next",
    b"\x1bOB": "next",
    b"\x1b[Z": "previous",
    b"\x1b[D": "previous",
    b"\x1b[A": "previous",
    b"\x1bOD": "previous",
    b"\x1bOA": "previous",
}
"""What keys without a character of their own are called."""

_SHOW_CURSOR = "\x1b[?25h"

# Not once all output is out: while another thread waits for room to write, as the one that draws
# may, Linux spins in that call, deaf to signals, and holds up the reader who would make room.
_AT_ONCE = termios.TCSANOW

_LOCAL_MODES = 3
"""Their place in what ``termios`` answers."""


class Keys:
    """Reads keys in a thread of its own, where standard input is a terminal; else does nothing.

    Parameters
    ----------
    pressed
        Called with each key: a character, ``next`` (Tab, right, down) or ``previous``.
    resumed
        Called when the process goes on after Ctrl-Z, in the midst of whatever it was at.
    """

    def __init__(self, pressed: Callable[[str], None], resumed: Callable[[], None]) -> None:
        self._pressed = pressed
        self._resumed = resumed
        self._before: list[Any] | None = None
        self._handlers: dict[signal.Signals, Any] = {}
        self._thread: threading.Thread | None = None
        self._wake = (-1, -1)
        self.active = False
        """Whether keys are read."""

    def open(self) -> None:
        """Begin to read keys, where that is possible."""
        try:
            self._fd = sys.stdin.fileno()
            self._before = termios.tcgetattr(self._fd)
        except (OSError, ValueError, AttributeError, termios.error):
            return  # no terminal: there are no keys
        if not self._in_front() or threading.current_thread() is not threading.main_thread():
            return
        self.active = True
        self._wake = os.pipe()
        atexit.register(self._put_back)
        try:
            for number in (signal.SIGTSTP, signal.SIGCONT):
                handler = self._stop if number is signal.SIGTSTP else self._go_on
                self._handlers[number] = signal.signal(number, handler)
            self._take()
            self._thread = threading.Thread(target=self._read, name="keys", daemon=True)
            self._thread.start()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Put the terminal back, as it was when this was opened."""
        if not self.active:
            return
        self.active = False
        try:
            os.write(self._wake[1], b"x")
            if self._thread is not None:
                self._thread.join()
        finally:
            self._put_back()
            atexit.unregister(self._put_back)
            for number, handler in self._handlers.items():
                signal.signal(number, handler)
            for end in self._wake:
                os.close(end)

    def _in_front(self) -> bool:
        """Whether the terminal is this process's to use; in the background it would be stopped."""
        try:
            return os.tcgetpgrp(self._fd) == os.getpgrp()
        except OSError:
            return False

    def _take(self) -> None:
        with contextlib.suppress(termios.error):  # the terminal may be gone
            tty.setcbreak(self._fd, _AT_ONCE)
            modes = termios.tcgetattr(self._fd)
            # Else Ctrl-C throws away what is not read yet, and Linux may forget to tell the thread
            # that waits for room that there is some: nothing is drawn any more, nor said.
            modes[_LOCAL_MODES] |= termios.NOFLSH
            termios.tcsetattr(self._fd, _AT_ONCE, modes)

    def _put_back(self) -> None:
        if self._before is not None and self._in_front():
            with contextlib.suppress(termios.error):
                termios.tcsetattr(self._fd, _AT_ONCE, self._before)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        del frame
        self._put_back()
        with contextlib.suppress(OSError):
            os.write(self._fd, _SHOW_CURSOR.encode())
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    def _go_on(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        signal.signal(signal.SIGTSTP, self._stop)
        # In the background the terminal is the shell's; coming to the front is told anew.
        if self.active and self._in_front():
            self._take()
            self._resumed()

    def _read(self) -> None:
        while True:
            ready, _, _ = select.select([self._fd, self._wake[0]], [], [])
            if self._wake[0] in ready:
                return
            if not self._in_front():
                select.select([self._wake[0]], [], [], 0.2)
                continue
            try:
                typed = os.read(self._fd, 256)
            except OSError:
                return
            if not typed:
                return
            for key in _KEY.findall(typed):
                self._pressed(NAMES.get(key) or key.decode(errors="replace"))
