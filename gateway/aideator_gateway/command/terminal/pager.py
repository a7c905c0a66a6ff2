"""Long output on a terminal, through the reader's own pager."""

import contextlib
import io
import os
import shutil
import signal
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator

from rich.console import Console

from aideator_gateway.settings import without_ours

DEFAULT = "less"
DIFFS = "delta"
"""Shows patches, where it is installed; it starts the reader's pager itself."""

SETTINGS = {"LESS": "FRX", "LV": "-c"}
"""What git tells pagers, too, unless the reader has: end where all fits, leave colours be."""

NOT_STARTED = (126, 127)
"""How a shell ends that could not start what it was told to."""


class _Left(Exception):  # noqa: N818 - nothing is wrong
    """The pager takes no more."""


class _Pipe(io.TextIOWrapper):
    def isatty(self) -> bool:
        """Say that a terminal is behind it, for what is printed looks the same."""
        return True


class _Paged(Console):
    def on_broken_pipe(self) -> None:
        """Stop printing; rich itself would end the process."""
        raise _Left


def page(console: Console, draw: Callable[[Console], None], *, diff: bool = False) -> None:
    """Print what may be long: through a pager on a terminal, as it is everywhere else.

    A pager that is left early, or with Ctrl-C, just comes back. One that cannot be started is
    done without.

    Parameters
    ----------
    console
        Standard output.
    draw
        Prints on the console it is given; it may be called again.
    diff
        Whether all of it is a patch, for programs that show nothing else.
    """
    command = _command(diff=diff) if console.file.isatty() else None
    if command is None or console.is_dumb_terminal or not _through(command, draw):
        draw(console)


def _command(*, diff: bool) -> str | None:
    """Return the shell's command for the pager; ``None`` for none."""
    pager = os.environ.get("PAGER", DEFAULT).strip()
    if pager in ("", "cat"):
        return None
    if diff and shutil.which(DIFFS):
        return DIFFS
    return pager if pager != DEFAULT or shutil.which(DEFAULT) else None


def _through(command: str, draw: Callable[[Console], None]) -> bool:
    """Whether the pager could be started."""
    environment = {**SETTINGS, **without_ours(os.environ)}
    with _interrupts_left_to_it(), _terminal_put_back():
        process = subprocess.Popen(
            ["/bin/sh", "-c", command], stdin=subprocess.PIPE, env=environment
        )
        assert process.stdin is not None  # noqa: S101 - asked for above
        pipe = _Pipe(process.stdin, encoding=sys.stdout.encoding, errors="backslashreplace")
        try:
            with contextlib.suppress(_Left):
                draw(_console(pipe, plain=command == DIFFS))
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
            return process.wait() not in NOT_STARTED
        finally:
            if process.poll() is None:  # only where something else went wrong
                process.terminate()
                process.wait()


def _console(pipe: _Pipe, *, plain: bool) -> Console:
    return _Paged(
        file=pipe, highlight=False, markup=False, emoji=False,
        color_system=None if plain else "auto",
    )  # fmt: skip


@contextlib.contextmanager
def _interrupts_left_to_it() -> Iterator[None]:
    """Leave Ctrl-C to the pager, which shares the terminal with this process."""
    # A handler, as what is ignored would be ignored by the pager as well.
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def _terminal_put_back() -> Iterator[None]:
    """Undo what a pager that was killed has left set, such as not showing what is typed."""
    try:
        before = termios.tcgetattr(sys.stdin)
    except (OSError, ValueError, termios.error):  # input may be something else
        yield
        return
    try:
        yield
    finally:
        with contextlib.suppress(termios.error):
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
