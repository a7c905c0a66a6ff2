"""Ctrl-C is acted upon at once, also where it comes just as a call begins to wait.

Python notes a signal and looks at the note between two steps. Where one comes after the last
look and before the system call, the call waits on: for a stream that may be a minute.
"""

import contextlib
import signal
import socket
import threading
import time
from collections.abc import Iterator

NUDGE = signal.SIGURG
"""Nobody sends it, and without a handler it does nothing."""

_SOON = 0.1
"""Seconds that are left to the usual way."""


@contextlib.contextmanager
def prompt_interrupts() -> Iterator[None]:
    """See to it, while the block runs in the main thread, that no call waits on after a signal."""
    main = threading.main_thread()
    if threading.current_thread() is not main:
        yield
        return
    noted, notes = socket.socketpair()

    def wake() -> None:
        # Each signal with a handler is one byte: its number. The nudge itself is no news.
        while numbers := noted.recv(64):
            if any(number != NUDGE for number in numbers):
                time.sleep(_SOON)
                signal.pthread_kill(main.ident or 0, NUDGE)

    waker = threading.Thread(target=wake, name="interrupts", daemon=True)
    with noted, notes:
        notes.setblocking(False)
        handler = signal.signal(NUDGE, lambda *_: None)
        before = signal.set_wakeup_fd(notes.fileno(), warn_on_full_buffer=False)
        waker.start()
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
            notes.shutdown(socket.SHUT_WR)
            waker.join()
            signal.signal(NUDGE, handler)
