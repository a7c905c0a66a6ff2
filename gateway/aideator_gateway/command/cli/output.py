"""Standard output for people, or for pipes."""

import os
import sys

from rich.console import Console

PIPED_WIDTH = 160
"""Width of tables where no terminal says."""


def console() -> Console:
    """Return standard output; what is printed is text, never markup."""
    piped = not sys.stdout.isatty()
    return Console(
        highlight=False,
        markup=False,
        emoji=False,
        # Piped, a sentence is one line, whatever its length.
        soft_wrap=piped,
        width=PIPED_WIDTH if piped and "COLUMNS" not in os.environ else None,
    )


def is_conversation() -> bool:
    """Whether a person sits at both ends, who can be asked."""
    return sys.stdin.isatty() and sys.stdout.isatty()
