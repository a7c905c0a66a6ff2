"""One key, read at once and not shown, as the answer to a question."""

import os
import sys
import termios
import tty

from aideator_gateway.command.cli.output import say

_NAMES = {b"\x1b[C": "right", b"\x1bOC": "right", b"\x1b[D": "left", b"\x1bOD": "left"}


def one_key(question: str) -> str | None:
    """Ask, and return the key that is pressed then: a character, ``left`` or ``right``.

    What was typed before the question is thrown away: nobody answers what they have not seen.

    Returns
    -------
    ``None`` at the end of input.

    Raises
    ------
    KeyboardInterrupt
        At Ctrl-C.
    """
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor, termios.TCSAFLUSH)
        sys.stdout.write(question)
        sys.stdout.flush()
        typed = os.read(descriptor, 32)
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
        say("")
    if typed in (b"", b"\x04"):
        return None
    return _NAMES.get(typed) or typed.decode(errors="replace")
