"""``diff``: what one attempt made, or how two differ."""

from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from aideator_gateway.command.cli.attempts import Attempts
from aideator_gateway.command.cli.checkout import Checkout
from aideator_gateway.command.cli.connect import for_reading
from aideator_gateway.command.cli.difference import Difference, difference
from aideator_gateway.command.cli.lookup import complete, find_run, run_and_numbers
from aideator_gateway.command.cli.options import settings_options
from aideator_gateway.command.cli.output import console, say
from aideator_gateway.command.terminal import patches
from aideator_gateway.command.terminal.pager import page
from aideator_gateway.settings import Settings


@click.command()
@click.argument(
    "arguments", nargs=-1, required=True, metavar="[RUN] N [M]", shell_complete=complete
)  # fmt: skip
@settings_options("data_dir")
def diff(arguments: tuple[str, ...], data_dir: Path | None) -> None:
    """Print variation N's patch, or what leads from variation N's files to variation M's.

    RUN is as for show. Files are compared where the commit that the run started from is on this
    machine, or can be fetched; else the patches are, and a note says so. Where nothing differs,
    nothing is printed on standard output. The exit code is 0 either way.
    """
    word, numbers = run_and_numbers(arguments)
    if len(numbers) not in (1, 2):
        raise click.UsageError("Give one variation, or two to compare: aideator diff [RUN] N [M].")
    settings = Settings.load({"data_dir": data_dir})
    with for_reading(settings) as client:
        attempts = Attempts(client, find_run(client, word, checkout=Checkout.around()))
        old, new = numbers[0], numbers[-1]
        if len(numbers) == 1:
            found = Difference(attempts.patch(old))
        else:
            found = difference(attempts, old, new, hosts=settings.repository_hosts)
    if len(numbers) == 2:
        show_difference(console(), old, new, found)
    elif found.content:
        page(console(), lambda out: _print(out, found.content), diff=True)
    else:
        say(f"Variation {old} changed nothing.", err=True)


def show_difference(out: Console, old: int, new: int, found: Difference) -> None:
    """Print how two attempts differ: on a terminal through the pager, else to the byte."""
    if found.why_patches:
        say(
            f"Note: the commit that the run started from is not at hand ({found.why_patches}), so "
            "this compares the two patches, not the files.",
            err=True,
        )
    if not found.content:
        say(f"Variations {old} and {new} do not differ.", err=True)
        return

    def draw(out: Console) -> None:
        if out.file.isatty():
            what = f"── from variation {old} to {new}: - is only in {old}, + only in {new} "
            out.print(Text(what, style="bold"))
        _print(out, found.content)

    page(out, draw, diff=True)


def _print(out: Console, content: bytes) -> None:
    patches.show(out, content)
