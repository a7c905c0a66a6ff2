"""``run``: start a run and follow it."""

import contextlib
import signal
import sys
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from aideator.protocol import DEFAULT_VARIATIONS, MAX_VARIATIONS, Condition, Status, Styles
from aideator_gateway.command.cli.attempts import Attempts
from aideator_gateway.command.cli.chooser import Chooser
from aideator_gateway.command.cli.connect import for_runs
from aideator_gateway.command.cli.exits import CANCELLED, COMPLETED, FAILED
from aideator_gateway.command.cli.follow import Follower
from aideator_gateway.command.cli.options import (
    SERVER_ONLY,
    json_option,
    limits,
    limits_options,
    settings_options,
)
from aideator_gateway.command.cli.output import console, is_conversation
from aideator_gateway.command.cli.repository import url_of
from aideator_gateway.command.cli.request import conditions, new_run, prompt_text
from aideator_gateway.command.cli.winner import Choose, Record
from aideator_gateway.command.client import Client
from aideator_gateway.runs.model import NewRun
from aideator_gateway.settings import Settings

COUNT = click.IntRange(1, MAX_VARIATIONS)


@click.command()
@click.argument("repository")
@click.argument("prompt")
@click.option(
    "-n", "--variations", type=COUNT, default=None,
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
    """Follow PROMPT on REPOSITORY live, then look at the patches and pick a winner.

    REPOSITORY is a URL, or the path of a repository on this machine, whose HEAD is taken.
    PROMPT is a text, @FILE for what a file holds, or - for standard input.

    Ctrl-C cancels the run, a second one leaves at once.
    """
    chosen_limits = limits(flags)
    url, local = url_of(repository, ref)
    settings = Settings.load({**flags, "allow_file": local or flags.get("allow_file")})
    known = Styles(settings.styles_dir)
    chosen = conditions(given_conditions, conditions_file, styles, known)
    _check_number(chosen or [], variations)
    request = new_run(
        github_url=url, prompt=prompt_text(prompt), variations=variations, ref=ref,
        conditions=chosen, limits=chosen_limits, check=check,
    )  # fmt: skip
    with terminable(), for_runs(settings, flags) as client:
        if flags.get("model") is not None and not settings.demo:
            request = _with_model(request, flags["model"])
        choose = _nobody if as_json else asking(settings.repository_hosts)
        code = follow(client, request, as_json=as_json, choose=choose)
    sys.exit(code)


def _check_number(chosen: Sequence[Condition], variations: int | None) -> None:
    if len(chosen) > MAX_VARIATIONS:
        raise click.UsageError(
            f"{len(chosen)} conditions and styles are given, each of them a variation: "
            f"give at most {MAX_VARIATIONS}."
        )
    if chosen and variations not in (None, len(chosen)):
        raise click.UsageError(
            f"--variations is {variations}, but the number of conditions and styles is "
            f"{len(chosen)}: make them agree, or leave --variations out."
        )


def follow(
    client: Client, request: NewRun, *, as_json: bool, choose: Choose, kept: bool = True
) -> int:
    """Follow a new run to its end, and return the command's exit code."""
    follower = Follower(client, None if as_json else console(), choose, kept=kept)
    ended = follower.follow(request)
    if follower.cancelled:
        return CANCELLED
    return COMPLETED if ended.status is Status.COMPLETED else FAILED


@contextlib.contextmanager
def terminable() -> Iterator[None]:
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


def _with_model(request: NewRun, model: str) -> NewRun:
    """Name the model in the request, for a gateway that has a default of its own."""
    asked = request.conditions or [Condition()] * request.variations
    named = [c if c.model else c.model_copy(update={"model": model}) for c in asked]
    return request.model_copy(update={"conditions": named, "variations": len(named)})


def asking(hosts: Collection[str]) -> Choose:
    """Return what asks who wins, if somebody is there.

    Parameters
    ----------
    hosts
        Those that a repository's own one may redirect to.
    """

    def ask(attempts: Attempts, record: Record) -> None:
        if is_conversation():
            Chooser(console(), attempts, record, hosts=hosts).ask()

    return ask


def _nobody(attempts: Attempts, record: Record) -> None:
    del attempts, record
