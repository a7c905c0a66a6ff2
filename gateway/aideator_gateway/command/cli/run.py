"""``run`` and ``demo``: start a run and follow it."""

import contextlib
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from aideator.protocol import DEFAULT_VARIATIONS, MAX_VARIATIONS, Condition, Status, Styles
from aideator_gateway.command.cli.checkout import Checkout
from aideator_gateway.command.cli.connect import embedded, for_runs
from aideator_gateway.command.cli.exits import CANCELLED, COMPLETED, FAILED
from aideator_gateway.command.cli.follow import Choose, Follower
from aideator_gateway.command.cli.options import (
    SERVER_ONLY,
    json_option,
    limits,
    limits_options,
    settings_options,
)
from aideator_gateway.command.cli.output import console, is_conversation
from aideator_gateway.command.cli.request import conditions, new_run, prompt_text
from aideator_gateway.command.client import Client
from aideator_gateway.runs.model import NewRun, Variation
from aideator_gateway.settings import Settings

DEMO_PROMPT = "Make one small improvement that a newcomer to this repository would notice."

_COUNT = click.IntRange(1, MAX_VARIATIONS)


@click.command()
@click.argument("repository")
@click.argument("prompt")
@click.option(
    "-n", "--variations", type=_COUNT, default=None,
    help=f"Number of variations. [default: as many as conditions, else {DEFAULT_VARIATIONS}]",
)  # fmt: skip
@click.option("--ref", help="Branch, tag or full commit id; else the default branch.")
@click.option(
    "--condition", "given_conditions", multiple=True, metavar="KEY=VALUE[,…]",
    help="What sets one variation apart: label, model, instructions (text or @FILE), … "
    "Once for each variation.",
)  # fmt: skip
@click.option(
    "--style", "styles", multiple=True, metavar="NAME",
    help="A variation of this style: smallest, thorough, test-first, or one of your own. "
    "Once for each variation.",
)  # fmt: skip
@click.option(
    "--conditions", "conditions_file", metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A JSON list of conditions.",
)  # fmt: skip
@click.option(
    "--check",
    help="Command to run on every result, in a sandbox without key and network; refused where "
    "there is none.",
)
@limits_options
@json_option
@settings_options(without=SERVER_ONLY)
def run(
    repository: str,
    prompt: str,
    variations: int | None,
    ref: str | None,
    given_conditions: tuple[str, ...],
    conditions_file: Path | None,
    styles: tuple[str, ...],
    check: str | None,
    as_json: bool,
    **flags: Any,
) -> None:
    """Follow PROMPT on REPOSITORY live, then see the patches and pick a winner.

    REPOSITORY is a URL, or the path of a repository on this machine, whose HEAD is taken.
    PROMPT is a text, @FILE for what a file holds, or - for standard input.

    Ctrl-C cancels the run, a second one leaves at once.
    """
    chosen_limits = limits(flags)
    url, local = _repository(repository)
    settings = Settings.load({**flags, "allow_file": local or flags.get("allow_file")})
    known = Styles(settings.styles_dir)
    chosen = conditions(given_conditions, conditions_file, styles, known)
    request = new_run(
        github_url=url, prompt=prompt_text(prompt), variations=variations, ref=ref,
        conditions=chosen, limits=chosen_limits, check=check,
    )  # fmt: skip
    with _terminable(), for_runs(settings, flags) as client:
        if flags.get("model") is not None and not settings.demo:
            request = _with_model(request, flags["model"])
        code = _follow(client, request, as_json=as_json, choose=_nobody if as_json else _ask)
    sys.exit(code)


@click.command()
@click.option("-n", "--variations", type=_COUNT, default=3, show_default=True,
              help="Number of variations.")  # fmt: skip
@json_option
@click.option(
    "--data-dir", type=click.Path(path_type=Path), help="Keep the run here. [default: nowhere]"
)
def demo(variations: int, as_json: bool, data_dir: Path | None) -> None:
    """Watch three scripted agents work on this repository, and a winner recorded.

    Always scripted and local: it needs no key, no engine and no network, and costs nothing.
    """
    url, _ = _repository(".")
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
        choose = _smallest if as_json else _ask_or_smallest
        if not as_json:
            click.echo("This is a scripted demo, not an LLM: no key, no cost.\n")
        with _terminable(), embedded(settings) as address, Client(address) as client:
            code = _follow(client, request, as_json=as_json, choose=choose)
    sys.exit(code)


def _follow(client: Client, request: NewRun, *, as_json: bool, choose: Choose) -> int:
    follower = Follower(client, None if as_json else console(), choose)
    ended = follower.follow(request)
    if follower.cancelled:
        return CANCELLED
    return COMPLETED if ended.status is Status.COMPLETED else FAILED


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM, and a terminal that is closed, do what Ctrl-C does: agents cost money."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:  # nohup means it
            signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _repository(argument: str) -> tuple[str, bool]:
    """Return a URL for the argument, and whether it is on this machine."""
    if "://" in argument or not Path(argument).exists():
        return argument, False
    checkout = Checkout(Path(argument))
    if checkout.changes(untracked=True):
        click.echo("Note: uncommitted changes are not part of the run, which takes HEAD.", err=True)
    return checkout.top.as_uri(), True


def _with_model(request: NewRun, model: str) -> NewRun:
    """Name the model in the request, for a gateway that has a default of its own."""
    asked = request.conditions or [Condition()] * request.variations
    named = [c if c.model else c.model_copy(update={"model": model}) for c in asked]
    return request.model_copy(update={"conditions": named, "variations": len(named)})


def _ask(completed: list[Variation]) -> int | None:
    if not is_conversation():
        return None
    numbers = [str(v.variation_id) for v in completed]
    answer = click.prompt(
        f"Which variation wins? ({', '.join(numbers)}; Enter for none)",
        type=click.Choice([*numbers, ""]), default="", show_choices=False, show_default=False,
    )  # fmt: skip
    return int(answer) if answer else None


def _ask_or_smallest(completed: list[Variation]) -> int | None:
    return _ask(completed) if is_conversation() else _smallest(completed)


def _smallest(completed: list[Variation]) -> int | None:
    smallest = min(completed, key=lambda v: (v.patch.bytes if v.patch else 0, v.variation_id))
    click.echo(
        f"Nobody is there to ask, so the demo picks the smallest patch: "
        f"variation {smallest.variation_id}.",
        err=True,
    )
    return smallest.variation_id


def _nobody(completed: list[Variation]) -> int | None:
    del completed
    return None
