"""Standard output for people, or for pipes: all that the command says goes through here."""

import json
import logging
import os
import sys
from typing import Any

import click
from rich.console import Console

from aideator_gateway.printable import printable

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


def say(text: str, *, err: bool = False) -> None:
    """Print a line; what it quotes of others commands no terminal."""
    # Named, the stream is what a live view has put in its place, above which lines are to stand.
    click.echo(printable(text), file=sys.stderr if err else sys.stdout)


def say_json(value: Any) -> None:
    """Print a value as one line of JSON, which is ASCII and so commands no terminal either."""
    click.echo(json.dumps(value))


class Notes(logging.Formatter):
    """A log for a terminal: what it quotes of others commands none.

    Parameters
    ----------
    start
        What stands before every entry, and is sent as it is.
    pattern
        As of ``logging.Formatter``.
    """

    def __init__(self, pattern: str, start: str = "") -> None:
        super().__init__(pattern)
        self._start = start

    def format(self, record: logging.LogRecord) -> str:
        """Return an entry."""
        return self._start + printable(super().format(record))


def is_conversation() -> bool:
    """Whether a person sits at both ends, who can be asked."""
    return sys.stdin.isatty() and sys.stdout.isatty()
