"""Which run, which variation: what people give for them."""

import re
from collections.abc import Callable
from dataclasses import dataclass

import click
from click.shell_completion import CompletionItem

from aideator.protocol import MAX_VARIATIONS, Status
from aideator_gateway.command.api_error import ApiError
from aideator_gateway.command.cli.checkout import Checkout
from aideator_gateway.command.cli.hints import hint
from aideator_gateway.command.cli.output import say
from aideator_gateway.command.client import Client
from aideator_gateway.command.datadir import running_gateway
from aideator_gateway.command.gateways import living
from aideator_gateway.command.terminal.text import repository
from aideator_gateway.printable import one_line
from aideator_gateway.runs.model import Run
from aideator_gateway.settings import Settings, SettingsError

LATEST = "latest"

_ORDER = f"Give a run, a variation from 1 to {MAX_VARIATIONS}, or both in this order."

_WHOLE_ID = re.compile(r"run_[0-9a-f]{16}")


@dataclass(frozen=True)
class Wanted:
    """What a command needs of a run, for the newest one that has it."""

    fits: Callable[[Run], bool]
    """Whether a run has it."""

    what: str
    """In words that follow "the newest run"; empty where every run has it."""

    remedy: Callable[[Run], str | None] = lambda _: None
    """What to do with the newest run so that it has it; ``None`` for nothing."""


ANY = Wanted(lambda _: True, "")
COMPLETED = Wanted(
    lambda run: any(v.status is Status.COMPLETED for v in run.variations),
    "with a completed variation",
)
WINNER = Wanted(
    lambda run: run.winning_variation_id is not None,
    "with a winner",
    lambda run: (
        f"give a variation, or record a winner with {hint('select', run.run_id, 'N')}"
        if COMPLETED.fits(run)
        else None
    ),
)


def completed(number: int) -> Wanted:
    """Return the wish for a run whose variation ``number`` has completed."""
    return Wanted(
        lambda run: any(
            v.variation_id == number and v.status is Status.COMPLETED for v in run.variations
        ),
        f"whose variation {number} completed",
    )


def run_and_number(arguments: tuple[str, ...]) -> tuple[str | None, int | None]:
    """Tell ``[RUN] [N]`` apart: a single digit is a variation, anything else a run.

    Raises
    ------
    click.UsageError
        If there is more than one of either.
    """
    run, numbers = run_and_numbers(arguments)
    if len(numbers) > 1:
        raise click.UsageError(_ORDER)
    return run, numbers[0] if numbers else None


def run_and_numbers(arguments: tuple[str, ...]) -> tuple[str | None, list[int]]:
    """Tell ``[RUN] [N …]`` apart, as ``run_and_number`` does.

    Raises
    ------
    click.UsageError
        If there is more than one run, or one behind a variation.
    """
    run = arguments[0] if arguments and _number(arguments[0]) is None else None
    found = [_number(word) for word in (arguments if run is None else arguments[1:])]
    numbers = [number for number in found if number is not None]
    if len(numbers) < len(found):
        raise click.UsageError(_ORDER)
    return run, numbers


def _number(word: str) -> int | None:
    return int(word) if word.isascii() and word.isdigit() and len(word) == 1 else None


def find_run(
    client: Client, word: str | None, wanted: Wanted = ANY, *, checkout: Checkout | None
) -> Run:
    """Return the run that ``word`` names.

    Parameters
    ----------
    word
        A run's id, or a start of it that no other has, with or without ``run_``;
        ``latest`` or ``None`` for the newest that has what is wanted.
    wanted
        What the newest must have; a run that is named is taken as it is.
    checkout
        The newest is sought among the runs of this repository; ``None`` for all runs.

    Raises
    ------
    click.ClickException
        If there is none, or more than one.
    """
    if word is None or word == LATEST:
        return _latest(client, wanted, checkout)
    if _WHOLE_ID.fullmatch(word):
        try:
            return client.run(word)
        except ApiError as error:
            if error.code != "run_not_found":
                raise
            raise click.ClickException(
                f"There is no run {word}: {hint('list')} shows them."
            ) from None
    found = [run for run in client.runs() if run.run_id.startswith((word, f"run_{word}"))]
    if not found:
        raise click.ClickException(f"No run's id starts with {word!r}: {hint('list')} shows them.")
    if len(found) > 1:
        some = ", ".join(run.run_id for run in found[:3])
        raise click.ClickException(
            f"{word!r} is the start of {len(found)} runs ({some}, …): give more of the id."
        )
    return found[0]


def _latest(client: Client, wanted: Wanted, checkout: Checkout | None) -> Run:
    """Return the newest run that has what is wanted, and say so if a newer one has not."""
    newest = newest_here = None
    for page in client.pages():
        here = page if checkout is None else checkout.own(page)
        newest = newest or next(iter(page), None)
        newest_here = newest_here or next(iter(here), None)
        for run in here:
            if not wanted.fits(run):
                continue
            if newest is not None and run.run_id != newest.run_id:
                taken = f"the newest run{_of_this(checkout)}{wanted.what and ' ' + wanted.what}"
                say(
                    f"Note: this is {run.run_id}, {taken}; {_described(newest)} is newer.", err=True
                )
            return run
    if newest is None:
        raise click.ClickException("There are no runs yet: aideator run starts one.")
    named, where = (newest_here, _of_this(checkout)) if newest_here else (newest, " of all")
    remedy = newest_here and wanted.remedy(newest_here)
    raise click.ClickException(
        f"There is no run{_of_this(checkout)}{wanted.what and ' ' + wanted.what}. "
        f"The newest{where} is {_described(named)}: "
        f"{remedy or hint('list') + ' shows all runs, to name one'}."
    )


def _of_this(checkout: Checkout | None) -> str:
    return " of this repository" if checkout else ""


def _described(run: Run) -> str:
    return f"{run.run_id} ({run.status}, of {repository(run.github_url)})"


def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the newest runs to a shell, if a gateway is there to be asked."""
    del param
    try:
        settings = Settings.load({"data_dir": ctx.params.get("data_dir")})
        address = running_gateway(settings.data_dir) or next(
            (found.address for found in reversed(living(settings.data_dir))), None
        )
        if address is None:
            runs = []
        else:
            with Client(address) as client:
                runs = client.runs(20)
    except (SettingsError, ApiError):
        return []
    offered = [CompletionItem(LATEST, help="the newest run")]
    offered += [
        # A shell prints it as it is.
        CompletionItem(run.run_id, help=one_line(run.prompt.split("\n")[0][:60]))
        for run in runs
    ]
    return [item for item in offered if item.value.startswith(incomplete)]
