"""Who wins a run that has ended: asked, recorded, and said."""

from collections.abc import Callable

from aideator_gateway.command.cli.attempts import Attempts
from aideator_gateway.command.cli.hints import hint
from aideator_gateway.command.cli.output import say
from aideator_gateway.command.client import Client
from aideator_gateway.printable import printable
from aideator_gateway.runs.model import Selection

Record = Callable[[int | None, str | None], None]
"""Records a winner, or that none is good enough, and why."""

Choose = Callable[[Attempts, Record], None]
"""Looks at what there is, and records a winner or none."""


def decide(
    client: Client, attempts: Attempts, choose: Choose, *, kept: bool = True, err: bool = False
) -> None:
    """Have the winner of a run chosen, record it, and say who it is; or that it is open.

    Parameters
    ----------
    client
        Of a gateway that has the run.
    choose
        Picks the winner among completed variations, or nobody.
    kept
        Whether the run can still be asked for afterwards; if not, nothing suggests to.
    err
        Name the winner on standard error.
    """
    run = attempts.run
    recorded = False

    def record(winner: int | None, reason: str | None = None) -> None:
        nonlocal recorded
        client.select(run.run_id, winner, reason)
        recorded = True
        of = f", recorded for {run.run_id}" if kept else ""
        say(f"Winner: {who(winner)}{of}.", err=err)

    try:
        choose(attempts, record)
    finally:
        # Also for who left with Ctrl-C: the run is there, and can be decided on later.
        if not recorded and kept:
            say(_left(attempts), err=True)


def who(winner: int | None) -> str:
    """Return a choice in words."""
    return "nobody" if winner is None else f"variation {winner}"


def winner_line(choice: Selection) -> str:
    """Return who was chosen, and why."""
    reason = f": {printable(choice.reason)}" if choice.reason else ""
    return f"Winner: {who(choice.variation_id)}{reason}"


def _left(attempts: Attempts) -> str:
    run = attempts.run
    if run.selections:
        return f"Nothing is changed: the winner is still {who(run.selections[-1].variation_id)}."
    return f"No winner is recorded: {hint('select', run.run_id, 'N')} does that."
