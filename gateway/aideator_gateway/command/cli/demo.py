"""``demo``: the whole job once, scripted."""

import contextlib
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click

from aideator_gateway.command.cli.attempts import Attempts
from aideator_gateway.command.cli.connect import embedded
from aideator_gateway.command.cli.options import json_option
from aideator_gateway.command.cli.output import is_conversation, say
from aideator_gateway.command.cli.repository import url_of
from aideator_gateway.command.cli.run import COUNT, asking, follow, terminable
from aideator_gateway.command.cli.winner import Record
from aideator_gateway.command.client import Client
from aideator_gateway.command.terminal.text import counted
from aideator_gateway.runs.model import NewRun, Variation
from aideator_gateway.settings import Settings

DEMO_PROMPT = "Make one small improvement that a newcomer to this repository would notice."


@click.command()
@click.option("-n", "--variations", type=COUNT, default=3, show_default=True,
              help="Number of variations.")  # fmt: skip
@json_option
@click.option(
    "--data-dir", type=click.Path(path_type=Path), help="Keep the run here. [default: nowhere]"
)
def demo(variations: int, as_json: bool, data_dir: Path | None) -> None:
    """Watch three scripted agents work on this repository, and a winner recorded.

    Always scripted and local: it needs no key, no engine and no network, and costs nothing.
    """
    url, _ = url_of(".")
    with contextlib.ExitStack() as stack:
        directory = data_dir or Path(
            stack.enter_context(
                tempfile.TemporaryDirectory(prefix="aideator-demo-", ignore_cleanup_errors=True)
            )
        )
        settings = Settings.load(
            {"demo": True, "backend": "local", "allow_file": True, "data_dir": directory}
        )
        request = NewRun(github_url=url, prompt=DEMO_PROMPT, variations=variations)
        if not as_json:
            say("This is a scripted demo, not an LLM: no key, no cost.\n")
        with terminable(), embedded(settings) as address, Client(address) as client:
            asked = is_conversation() and not as_json
            choose = asking(settings.repository_hosts) if asked else _choose_smallest
            code = follow(client, request, as_json=as_json, choose=choose, kept=bool(data_dir))
    if data_dir is None:
        say(
            "Nothing of this run is kept: with aideator demo --data-dir DIR it is, to show, "
            "select and apply.",
            err=True,
        )
    sys.exit(code)


def _choose_smallest(attempts: Attempts, record: Record) -> None:
    number, why = smallest(attempts.completed)
    say(f"Nobody is there to ask, so the demo {why}.", err=True)
    if number is not None:
        record(number, None)


def smallest(completed: Sequence[Variation]) -> tuple[int | None, str]:
    """Return the variation that changes the fewest lines, and why it was picked.

    Lines count that a patch puts in or takes out. What changed nothing is no candidate, nor is
    a patch that was too large to be kept; of several that are as small the first one is taken.
    """
    sizes = {
        v.variation_id: v.patch.insertions + v.patch.deletions
        for v in completed
        if v.patch is not None and v.patch.files and not v.patch.truncated
    }
    if not sizes:
        return None, "picks none: no variation has a patch"
    number = min(sizes, key=lambda candidate: (sizes[candidate], candidate))
    compared = ", ".join(f"{other}: {counted(size, 'line')}" for other, size in sizes.items())
    return number, (
        f"picks the smallest patch by lines added and removed: variation {number} ({compared})"
    )
