"""Follow a run to its end: live, then how it went, its patches, and who wins."""

import contextlib
import json
from collections.abc import Callable

import click
from rich.console import Console

from aideator.protocol import Status
from aideator_gateway.command.cli.causes import causes
from aideator_gateway.command.cli.connect import LeftAtOnce
from aideator_gateway.command.client import Client
from aideator_gateway.command.terminal import patches
from aideator_gateway.command.terminal.events import read
from aideator_gateway.command.terminal.live import live_view
from aideator_gateway.command.terminal.tables import model_line, title_line, variations_table
from aideator_gateway.http.sse import Completion, Failure, Message
from aideator_gateway.runs.model import NewRun, Run, Variation

PATCH_LINES = 200
"""Lines of one patch shown on a terminal here; ``aideator show`` has all."""

Choose = Callable[[list[Variation]], int | None]


class Follower:
    """Starts a run and follows it.

    Parameters
    ----------
    client
        Of the gateway that carries it out.
    console
        Where to; ``None`` prints JSON lines.
    choose
        Picks the winner among completed variations, or nobody.
    """

    def __init__(self, client: Client, console: Console | None, choose: Choose) -> None:
        self._client = client
        self._console = console
        self._choose = choose
        self.cancelled = False
        """Ctrl-C was pressed."""

    def follow(self, request: NewRun) -> Run:
        """Follow a new run to its end, and return how it ended.

        Ctrl-C cancels it, and so does output that nobody takes; a second Ctrl-C raises
        ``LeftAtOnce``.
        """
        run_id = self._client.create(request)
        try:
            if self._console is None:
                for name, data in self._client.stream(run_id):
                    click.echo(json.dumps({"event": name, **data}))
            else:
                self._watch(run_id, self._console)
        except KeyboardInterrupt:
            self._cancel(run_id)
        except (OSError, SystemExit):
            # Whoever read the output has gone (rich exits on that); agents cost money.
            self._client.cancel(run_id)
            raise
        ended = self._client.run(run_id)
        if self._console is not None:
            self._show(ended, self._console)
        for cause in causes(ended):
            click.echo(f"Error: {cause}", err=True)
        if not self.cancelled:
            ended = self._select(ended)
        if self._console is None:
            click.echo(json.dumps({"event": "run", **ended.model_dump(mode="json")}))
        return ended

    def _watch(self, run_id: str, console: Console) -> None:
        run = self._client.run(run_id)
        console.print(title_line(run))
        told = False
        with live_view(console, run.variations, scripted=run.scripted) as view:
            for name, data in self._client.stream(run_id):
                event = read(name, data)
                if not isinstance(event, Message | Completion | Failure):
                    continue
                if not told:
                    # Only now it is known which commit, and where.
                    told = True
                    console.print(model_line(self._client.run(run_id)), style="dim")
                view.show(event)

    def _cancel(self, run_id: str) -> None:
        self.cancelled = True
        try:
            with contextlib.suppress(OSError):  # the terminal may be what has gone
                click.echo(f"\nCancelling {run_id} … (Ctrl-C again leaves at once)", err=True)
            ended = self._client.cancel(run_id)
        except KeyboardInterrupt:
            raise LeftAtOnce from None
        if ended.status is Status.CANCELLED:
            click.echo(f"Cancelled: aideator show {run_id} has what there was.", err=True)
        else:
            click.echo(f"Too late to cancel: {run_id} is {ended.status}.", err=True)

    def _show(self, run: Run, console: Console) -> None:
        console.print()
        console.print(variations_table(run))
        if self.cancelled:
            return
        for variation in run.variations:
            if variation.status is Status.COMPLETED:
                console.print()
                console.print(patches.heading(variation))
                self._show_patch(run, variation, console)
        console.print()

    def _show_patch(self, run: Run, variation: Variation, console: Console) -> None:
        number = variation.variation_id
        if variation.patch is None or variation.patch.truncated:
            console.print("(too large to be kept)", style="dim")
            return
        patch = self._client.patch(run.run_id, number)
        if left_out := patches.show(console, patch, at_most=PATCH_LINES):
            console.print(
                f"… {left_out:,} more lines: aideator show {run.run_id} {number} --patch",
                style="dim",
            )

    def _select(self, run: Run) -> Run:
        completed = [v for v in run.variations if v.status is Status.COMPLETED]
        if not completed:
            return run
        winner = self._choose(completed)
        if winner is None:
            click.echo(
                f"No winner is recorded: aideator select {run.run_id} N does that.", err=True
            )
            return run
        self._client.select(run.run_id, winner)
        click.echo(
            f"Winner: variation {winner}, recorded for {run.run_id}.", err=self._console is None
        )
        return self._client.run(run.run_id)
