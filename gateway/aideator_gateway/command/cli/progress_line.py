"""How an experiment goes on, where it is watched: one line that changes, or lines, or JSON."""

import shutil
import sys
from dataclasses import asdict
from types import TracebackType
from typing import Self

import click

from aideator_gateway.command.cli.output import say, say_json
from aideator_gateway.command.terminal.experiments import progress_text
from aideator_gateway.experiments.progress import Progress
from aideator_gateway.printable import printable


class ProgressLine:
    """Shows progress on standard error; as JSON on standard output.

    Use as a context manager.

    Parameters
    ----------
    as_json
        One object a line.
    """

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._live = sys.stderr.isatty() and not as_json
        self._shown = ""
        self.last: Progress | None = None
        """What was told last."""

    def tell(self, now: Progress) -> None:
        """Show where the experiment stands, if that has changed."""
        before, self.last = self.last, now
        if self._as_json:
            if before is None or (before.done, before.running) != (now.done, now.running):
                say_json({"event": "progress", **asdict(now), "left": now.left})
        elif self._live:
            # A longer line would leave its first part behind.
            text = printable(progress_text(now))[: shutil.get_terminal_size().columns - 1]
            if text != self._shown:
                self._shown = text
                click.echo(f"\r\x1b[K{text}", nl=False, err=True)
        elif before is None or before.done != now.done:
            say(progress_text(now), err=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._live and self._shown:
            click.echo(err=True)
