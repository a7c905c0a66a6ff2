"""Follow a run to its end: live, then how it went, its patches, and who wins."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import click
from rich.console import Console

from aideator.protocol import Status
from aideator_gateway.command.api_error import UNREACHABLE, ApiError
from aideator_gateway.command.cli.attempts import Attempts
from aideator_gateway.command.cli.causes import causes
from aideator_gateway.command.cli.connect import LeftAtOnce
from aideator_gateway.command.cli.hints import hint
from aideator_gateway.command.cli.known import Known
from aideator_gateway.command.cli.output import is_conversation, say, say_json
from aideator_gateway.command.cli.winner import Choose, decide
from aideator_gateway.command.client import Client
from aideator_gateway.command.stream import RunStream
from aideator_gateway.command.terminal import patches
from aideator_gateway.command.terminal.events import read
from aideator_gateway.command.terminal.live import live_view
from aideator_gateway.command.terminal.tables import model_line, title_line, variations_table
from aideator_gateway.runs.frames import Checked, Completion, Failure, Message
from aideator_gateway.runs.model import NewRun, Run, Variation

PATCH_LINES = 200
"""Lines of one patch shown on a terminal here; ``aideator show`` has all."""

Show = Callable[[str, dict[str, Any]], None]


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
    kept
        Whether the run can still be asked for afterwards; if not, nothing suggests to.
    """

    def __init__(
        self, client: Client, console: Console | None, choose: Choose, *, kept: bool = True
    ) -> None:
        self._client = client
        self._console = console
        self._choose = choose
        self._kept = kept
        self._known = Known()
        self.cancelled = False
        """Ctrl-C was pressed."""

    def follow(self, request: NewRun) -> Run:
        """Follow a new run to its end, and return how it ended.

        Ctrl-C cancels it, and so does output that nobody takes; a second Ctrl-C raises
        ``LeftAtOnce``, and so does the first one where the gateway is not there to cancel it.

        Raises
        ------
        click.ClickException
            If the gateway has gone, and does not come back.
        """
        run_id = self._client.create(request)
        events = self._client.stream(run_id, self._say_away)
        try:
            self._watch(run_id, events)
            return self._finish(run_id)
        except ApiError as error:
            if error.code != UNREACHABLE:
                raise
            raise click.ClickException(self._gone(run_id, error)) from None

    def _watch(self, run_id: str, events: RunStream) -> None:
        try:
            with self._view(run_id) as show:
                try:
                    self._take(events, show)
                except KeyboardInterrupt:
                    ended = self._cancel(run_id, events)
                    # How that ended each variation is part of what is watched.
                    self._take(events, show)
                    self._say_cancelled(ended)
        except KeyboardInterrupt:
            self._say_cancelled(self._cancel(run_id, events))
        except (OSError, SystemExit):
            # Whoever read the output has gone (rich exits on that); agents cost money.
            self._client.cancel(run_id)
            raise

    def _take(self, events: RunStream, show: Show) -> None:
        for name, data in events:
            self._known.take(name, data)
            show(name, data)

    @contextlib.contextmanager
    def _view(self, run_id: str) -> Iterator[Show]:
        """Give what shows an event."""
        console = self._console
        if console is None:
            yield lambda name, data: say_json({"event": name, **data})
            return
        run = self._client.run(run_id)
        console.print(title_line(run, named=self._kept))
        model_shown = False
        checked = run.check is not None
        with live_view(console, run.variations, scripted=run.scripted, checked=checked) as view:

            def show(name: str, data: dict[str, Any]) -> None:
                nonlocal model_shown
                event = read(name, data)
                if not isinstance(event, Message | Completion | Failure | Checked):
                    return
                if not model_shown:
                    # Only now it is known which commit, and where.
                    model_shown = True
                    console.print(model_line(self._client.run(run_id)), style="dim")
                view.show(event)

            yield show

    def _cancel(self, run_id: str, events: RunStream) -> Run:
        """Cancel the run; who has asked for that before, or asks nobody, leaves at once."""
        if self.cancelled:
            raise LeftAtOnce
        self.cancelled = True
        if events.away:
            raise LeftAtOnce(self._not_cancelled(run_id))
        try:
            with contextlib.suppress(OSError):  # the terminal may be what has gone
                named = run_id if self._kept else "the run"
                say(f"\nCancelling {named} … (Ctrl-C again leaves at once)", err=True)
            return self._client.cancel(run_id)
        except KeyboardInterrupt:
            raise LeftAtOnce from None
        except ApiError as error:
            if error.code != UNREACHABLE:
                raise
            raise LeftAtOnce(self._not_cancelled(run_id)) from None

    def _say_cancelled(self, run: Run) -> None:
        if run.status is not Status.CANCELLED:
            named = run.run_id if self._kept else "the run"
            say(f"Too late to cancel: {named} is {run.status}.", err=True)
        elif self._kept:
            say(f"Cancelled: {hint('show', run.run_id)} has what there was.", err=True)
        else:
            say("Cancelled.", err=True)

    def _finish(self, run_id: str) -> Run:
        """Show how the run ended, and have its winner chosen."""
        ended = self._client.run(run_id)
        attempts = Attempts(self._client, ended)
        if self._console is not None:
            self._show(attempts, self._console)
        if ended.status is Status.INTERRUPTED:
            say(f"Error: {self._stopped(run_id)}", err=True)
        for cause in causes(ended):
            say(f"Error: {cause}", err=True)
        if not self.cancelled:
            ended = self._select(attempts)
        if self._console is None:
            say_json({"event": "run", **ended.model_dump(mode="json")})
        return ended

    def _say_away(self, why: str) -> None:
        say(f"The gateway does not answer ({why}; Ctrl-C leaves at once).", err=True)

    def _gone(self, run_id: str, error: ApiError) -> str:
        """Return what to say of a run whose gateway has gone."""
        if self._known.run is Status.INTERRUPTED:
            return self._stopped(run_id)
        if self._known.run is not None:
            return f"{run_id} is {self._known.run}. {error} {hint('show', run_id)} has the rest."
        return (
            f"The gateway has gone, and how {run_id} ended is not known. {self._known.summary()} "
            f"Start the gateway again, then {hint('show', run_id)} tells."
        )

    def _stopped(self, run_id: str) -> str:
        return (
            f"The gateway was stopped, and {run_id} was interrupted by that: "
            f"{hint('show', run_id)} has what there was."
        )

    def _not_cancelled(self, run_id: str) -> str:
        return (
            f"Left. The gateway does not answer, so {run_id} could not be cancelled. "
            f"{self._known.summary()} {hint('show', run_id)} tells more once a gateway runs."
        )

    def _show(self, attempts: Attempts, console: Console) -> None:
        run = attempts.run
        console.print()
        console.print(variations_table(run, attempts.same))
        # Whoever can be asked is shown what is asked for, not all of it at once.
        if self.cancelled or is_conversation():
            return
        for variation in attempts.completed:
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
            where = f": {hint('show', run.run_id, number, '--patch')}" if self._kept else ""
            console.print(f"… {left_out:,} more lines{where}", style="dim", soft_wrap=True)

    def _select(self, attempts: Attempts) -> Run:
        run = attempts.run
        if not attempts.completed:
            return run
        decide(self._client, attempts, self._choose, kept=self._kept, err=self._console is None)
        return self._client.run(run.run_id)
