"""``list`` and ``show``: what happened."""

import sys
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from aideator_gateway.command.cli.attempts import Attempts
from aideator_gateway.command.cli.causes import causes
from aideator_gateway.command.cli.checkout import Checkout
from aideator_gateway.command.cli.connect import for_reading
from aideator_gateway.command.cli.hints import hint
from aideator_gateway.command.cli.lookup import complete, find_run, run_and_number
from aideator_gateway.command.cli.options import json_option, settings_options
from aideator_gateway.command.cli.output import console, say, say_json
from aideator_gateway.command.cli.winner import winner_line
from aideator_gateway.command.terminal import asis, patches
from aideator_gateway.command.terminal.pager import page
from aideator_gateway.command.terminal.pane import STYLES
from aideator_gateway.command.terminal.tables import (
    model_line,
    runs_table,
    status_line,
    title_line,
    variations_table,
)
from aideator_gateway.printable import printable
from aideator_gateway.runs.model import Run, Variation
from aideator_gateway.settings import Settings


@click.command("list")
@click.option("-n", "--limit", type=click.IntRange(1), default=20, show_default=True,
              help="Most runs to list.")  # fmt: skip
@json_option
@settings_options("data_dir")
def list_runs(limit: int, as_json: bool, data_dir: Path | None) -> None:
    """List runs, newest first."""
    with for_reading(Settings.load({"data_dir": data_dir})) as client:
        runs = client.runs(limit)
    if as_json:
        say_json([run.model_dump(mode="json") for run in runs])
    elif runs:
        console().print(runs_table(runs))
    else:
        say("There are no runs yet: aideator run starts one.", err=True)


@click.command()
@click.argument("arguments", nargs=-1, metavar="[RUN] [N]", shell_complete=complete)
@click.option("--patch", "only_patch", is_flag=True, help="Print the patch alone, to the byte.")
@click.option("--transcript", is_flag=True, help="Print the transcript alone, JSON lines.")
@json_option
@settings_options("data_dir")
def show(
    arguments: tuple[str, ...],
    only_patch: bool,
    transcript: bool,
    as_json: bool,
    data_dir: Path | None,
) -> None:
    """Show how a run went, or variation N of it with its patch.

    RUN is a run's id or the start of one; without it, or as "latest", the newest run, inside a
    checkout the newest of its repository. --patch and --transcript take the winner where N is
    left out.
    """
    if only_patch + transcript + as_json > 1:
        raise click.UsageError("Use one of --patch, --transcript and --json.")
    word, number = run_and_number(arguments)
    with for_reading(Settings.load({"data_dir": data_dir})) as client:
        run = find_run(client, word, checkout=Checkout.around())
        if only_patch:
            patch = client.patch(run.run_id, number or winner_of(run))
            page(console(), lambda out: _show_patch(out, patch), diff=True)
        elif transcript:
            lines = client.transcript(run.run_id, number or winner_of(run))
            if sys.stdout.isatty():
                text = printable(lines.decode(errors="replace").removesuffix("\n"))
                page(console(), lambda out: out.print(text, soft_wrap=True))
            else:
                asis.write(lines)
        elif as_json:
            shown = run if number is None else variation_of(run, number)
            say_json(shown.model_dump(mode="json"))
        elif number is None:
            attempts = Attempts(client, run)
            page(console(), lambda out: show_run(out, attempts))
        else:
            variation = variation_of(run, number)
            kept = variation.patch and not variation.patch.truncated
            patch = client.patch(run.run_id, number) if kept else b""
            page(console(), lambda out: _show_variation(out, run, variation, patch))


def winner_of(run: Run) -> int:
    """Return the winner's number.

    Raises
    ------
    click.ClickException
        If none is recorded.
    """
    if run.winning_variation_id is None:
        raise click.ClickException(
            f"{run.run_id} has no winner: give a variation, or record one with "
            f"{hint('select', run.run_id, 'N')}."
        )
    return run.winning_variation_id


def variation_of(run: Run, number: int) -> Variation:
    """Return a variation.

    Raises
    ------
    click.ClickException
        If the run has none of this number.
    """
    for variation in run.variations:
        if variation.variation_id == number:
            return variation
    raise click.ClickException(f"{run.run_id} has variations 1 to {len(run.variations)}.")


def _show_patch(out: Console, patch: bytes) -> None:
    patches.show(out, patch)


def show_run(out: Console, attempts: Attempts, *, model: bool = True) -> None:
    """Show how a run went, and who has won it; what models it had, too, unless told not to."""
    run = attempts.run
    out.print(title_line(run))
    out.print(status_line(run), style=STYLES[run.status])
    if model:
        out.print(model_line(run), style="dim")
    out.print(printable(run.prompt))
    out.print()
    out.print(variations_table(run, attempts.same))
    for cause in causes(run):
        out.print(Text(cause, style="red"))
    if run.selections:
        out.print()
        out.print(winner_line(run.selections[-1]))


def _show_variation(out: Console, run: Run, variation: Variation, patch: bytes) -> None:
    alone = run.model_copy(update={"variations": [variation], "code": None})
    out.print(title_line(run))
    out.print(model_line(alone), style="dim")
    for key, value in variation.condition.details().items():
        out.print(f"{key}: {printable(value)}", style="dim")
    out.print()
    out.print(variations_table(alone))
    for cause in causes(alone):
        out.print(Text(cause, style="red"))
    if variation.summary:
        out.print()
        out.print(printable(variation.summary))
    if variation.patch and not variation.patch.truncated:
        out.print()
        out.print(patches.heading(variation))
        patches.show(out, patch)
