"""``select``, ``apply`` and ``cancel``: what a person does about a run."""

from pathlib import Path

import click

from aideator_gateway.command.cli.attempts import Attempts
from aideator_gateway.command.cli.checkout import Checkout
from aideator_gateway.command.cli.connect import beside_runs, for_reading
from aideator_gateway.command.cli.hints import hint
from aideator_gateway.command.cli.lookup import (
    COMPLETED,
    WINNER,
    complete,
    completed,
    find_run,
    run_and_number,
)
from aideator_gateway.command.cli.options import settings_options
from aideator_gateway.command.cli.output import console, is_conversation, say
from aideator_gateway.command.cli.putting import check, put
from aideator_gateway.command.cli.results import show_run, variation_of, winner_of
from aideator_gateway.command.cli.run import asking
from aideator_gateway.command.cli.winner import decide, who
from aideator_gateway.command.client import Client
from aideator_gateway.runs.model import Run
from aideator_gateway.settings import Settings


@click.command()
@click.argument("arguments", nargs=-1, metavar="[RUN] [N]", shell_complete=complete)
@click.option("--none", "none", is_flag=True, help="None of them is good enough.")
@click.option("--reason", help="Why this one, or none; kept with the choice.")
@settings_options("data_dir")
def select(
    arguments: tuple[str, ...], none: bool, reason: str | None, data_dir: Path | None
) -> None:
    """Record variation N as the winner of a run; without N, look at them and choose.

    RUN is a run's id or the start of one; without it, the newest run with a completed
    variation, inside a checkout the newest such run of its repository. Selecting again
    replaces the winner; earlier choices are kept in the run's history. --none in place of N
    records that none of them is good enough.

    Without both, at a terminal, it asks what aideator run asks at its end.
    """
    word, number = run_and_number(arguments)
    asks = number is None and not none
    if (number is not None and none) or (asks and (reason is not None or not is_conversation())):
        raise click.UsageError(
            "Say which variation wins: aideator select [RUN] N, or --none in place of N. At a "
            "terminal, without both and without --reason, it lets you look and choose."
        )
    settings = Settings.load({"data_dir": data_dir})
    with for_reading(settings) as client:
        run = find_run(client, word, COMPLETED, checkout=Checkout.around())
        if asks:
            _ask(client, run, settings)
        else:
            client.select(run.run_id, number, reason)
            say(f"Winner: {who(number)}, recorded for {run.run_id}.")


def _ask(client: Client, run: Run, settings: Settings) -> None:
    """Show what there is, and let the person at the terminal choose."""
    if not run.status.ended:
        raise click.ClickException(
            f"{run.run_id} is {run.status}: choose once it has ended, or give the number of a "
            "variation that has completed."
        )
    if not COMPLETED.fits(run):
        raise click.ClickException(
            f"No variation of {run.run_id} completed, so none can win: "
            f"{hint('show', run.run_id)} has what there was."
        )
    attempts = Attempts(client, run)
    # The question itself comes with the models.
    show_run(console(), attempts, model=False)
    decide(client, attempts, asking(settings.repository_hosts))


@click.command()
@click.argument("arguments", nargs=-1, metavar="[RUN] [N]", shell_complete=complete)
@click.option(
    "--into", type=click.Path(exists=True, file_okay=False, path_type=Path), default=Path(),
    metavar="DIR", help="Checkout to change. [default: the current one]",
)  # fmt: skip
@click.option(
    "--3way", "three_way", is_flag=True,
    help="Merge where the patch does not fit; may leave conflicts to resolve.",
)  # fmt: skip
@settings_options("data_dir")
def apply(arguments: tuple[str, ...], into: Path, three_way: bool, data_dir: Path | None) -> None:
    """Put the winner of a run, or variation N, into this checkout with git apply.

    Everything is applied or nothing. Changes that are not committed are never mixed with the
    patch: a checkout that has some is refused. Nothing is committed.

    Without RUN it is the newest run of this repository that has a winner, or whose variation N
    completed.
    """
    word, number = run_and_number(arguments)
    checkout = Checkout(into)
    with for_reading(Settings.load({"data_dir": data_dir})) as client:
        wanted = WINNER if number is None else completed(number)
        run = find_run(client, word, wanted, checkout=checkout)
        variation = variation_of(run, number or winner_of(run))
        check(run, variation, checkout)
        patch = client.patch(run.run_id, variation.variation_id)
    put(patch, run, variation, checkout, three_way=three_way)


@click.command()
@click.argument("run", required=False, shell_complete=complete)
@settings_options("data_dir")
def cancel(run: str | None, data_dir: Path | None) -> None:
    """Cancel a run on this machine; without RUN, the newest that still runs."""
    with beside_runs(Settings.load({"data_dir": data_dir})) as client:
        if run is None:
            active = next((found for found in client.runs() if not found.status.ended), None)
            if active is None:
                raise click.ClickException("No run is active.")
        else:
            active = find_run(client, run, checkout=None)
        if active.status.ended:
            say(f"{active.run_id} had ended already: it is {active.status}.")
            return
        ended = client.cancel(active.run_id)
    say(f"{ended.run_id} is {ended.status}.")
