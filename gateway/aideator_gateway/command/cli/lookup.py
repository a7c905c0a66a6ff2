"""Which run, which variation: what people give for them."""

import re

import click
from click.shell_completion import CompletionItem

from aideator.protocol import MAX_VARIATIONS
from aideator_gateway.command.client import ApiError, Client
from aideator_gateway.command.datadir import running_gateway
from aideator_gateway.command.gateways import living
from aideator_gateway.runs.model import Run
from aideator_gateway.settings import Settings, SettingsError

LATEST = "latest"

_WHOLE_ID = re.compile(r"run_[0-9a-f]{16}")


def words_of(words: tuple[str, ...]) -> tuple[str | None, int | None]:
    """Tell ``[RUN] [N]`` apart: a single digit is a variation, anything else a run.

    Raises
    ------
    click.UsageError
        If there is more than one of either.
    """
    if len(words) == 1 and _number(words[0]) is None:
        return words[0], None
    if len(words) == 1:
        return None, _number(words[0])
    if len(words) == 2 and (number := _number(words[1])) is not None:
        return words[0], number
    if words:
        raise click.UsageError(
            f"Give a run, a variation from 1 to {MAX_VARIATIONS}, or both in this order."
        )
    return None, None


def _number(word: str) -> int | None:
    return int(word) if word.isascii() and word.isdigit() and len(word) == 1 else None


def find_run(client: Client, word: str | None) -> Run:
    """Return the run that ``word`` names.

    Parameters
    ----------
    word
        A run's id, or a start of it that no other has, with or without ``run_``;
        ``latest`` or ``None`` for the newest.

    Raises
    ------
    click.ClickException
        If there is none, or more than one.
    """
    if word is None or word == LATEST:
        newest = next(iter(client.runs(1)), None)
        if newest is None:
            raise click.ClickException("There are no runs yet: aideator run starts one.")
        return newest
    if _WHOLE_ID.fullmatch(word):
        return client.run(word)
    found = [run for run in client.runs() if run.run_id.startswith((word, f"run_{word}"))]
    if not found:
        raise click.ClickException(f"No run's id starts with {word!r}: aideator list shows them.")
    if len(found) > 1:
        some = ", ".join(run.run_id for run in found[:3])
        raise click.ClickException(
            f"{word!r} is the start of {len(found)} runs ({some}, …): give more of the id."
        )
    return found[0]


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
    offered += [CompletionItem(run.run_id, help=run.prompt.split("\n")[0][:60]) for run in runs]
    return [item for item in offered if item.value.startswith(incomplete)]
