"""Hear that the attempt is to stop, at any moment of its life. Standard library only.

No signal handler runs: what one raises comes out of whatever code is at work just then, and
libraries turn it into something else. SIGTERM and SIGINT are blocked in every thread and one
thread waits for them. It also hears while the main thread is importing or opening a client.
"""

import os
import signal
import threading
from collections.abc import Callable


class Stop:
    """Does one thing when the attempt is told to stop, the first time that it is told.

    Parameters
    ----------
    do
        What is done, in a thread of its own, until ``becomes`` names something else.
    """

    def __init__(self, do: Callable[[], object]) -> None:
        self._do = do
        self._lock = threading.Lock()
        self._asked = False

    def becomes(self, do: Callable[[], object]) -> None:
        """Have ``do`` done from now on; what is being done at this moment is waited for."""
        with self._lock:
            self._do = do

    def tell(self) -> None:
        """Tell the attempt to stop; once is enough."""
        with self._lock:
            if not self._asked:
                self._asked = True
                self._do()

    def listen(self, *, stdin: bool) -> None:
        """Hear signals that were blocked by ``hold_signals``, and the end of stdin if asked to."""
        threading.Thread(target=self._hear_signals, daemon=True).start()
        if stdin:
            threading.Thread(target=self._hear_end_of_stdin, daemon=True).start()

    def _hear_signals(self) -> None:
        while True:
            signal.sigwait(_signals())
            self.tell()

    def _hear_end_of_stdin(self) -> None:
        while os.read(0, 65536):
            pass
        self.tell()


def hold_signals() -> None:
    """Keep signals that say stop until a thread waits for them; called before any is started.

    Children inherit it: git finishes what it is at when a whole process group is told to stop.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _signals())


def nothing() -> None:
    """Do nothing: the attempt has ended, or it is ending by itself."""


def _signals() -> set[signal.Signals]:
    # A shell has background programs ignore Ctrl-C; that stands.
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    return {signal.SIGTERM} if ignored else {signal.SIGTERM, signal.SIGINT}
