"""A variation's patch, put into a checkout."""

import click

from aideator.protocol import Status
from aideator_gateway.command.cli.checkout import Checkout
from aideator_gateway.command.cli.output import say
from aideator_gateway.command.terminal.text import patch_size
from aideator_gateway.runs.model import Run, Variation


def check(run: Run, variation: Variation, into: Checkout) -> None:
    """Refuse what cannot be applied, before anything is asked for or changed.

    Raises
    ------
    click.ClickException
        If it changed nothing, or the checkout is another repository's or has changes.
    """
    if variation.patch is not None and not variation.patch.files:
        raise click.ClickException(
            f"{_who(run, variation)} changed nothing, so there is nothing to apply."
        )
    if run.commit and not into.has_commit(run.commit):
        raise click.ClickException(
            f"{into.top} does not have commit {run.commit[:12]}, which the run started from: "
            f"change to the right checkout, or get it with git fetch origin {run.commit}."
        )
    if into.changes(untracked=False):
        raise click.ClickException(
            f"{into.top} has changes that are not committed: commit them, or put them aside "
            "with git stash, then apply again."
        )


def put(
    patch: bytes, run: Run, variation: Variation, into: Checkout, *, three_way: bool = False
) -> None:
    """Put a patch that was checked into a checkout: all of it or nothing.

    Parameters
    ----------
    patch
        That of ``variation``, of ``run``.
    three_way
        Merge where it does not fit, which may leave conflicts.

    Raises
    ------
    click.ClickException
        If it was not applied, with what to do.
    """
    who = _who(run, variation)
    if reason := into.apply(patch, three_way=three_way):
        remedy = (
            "resolve what git status shows, or undo with git reset --hard."
            if into.changes(untracked=False)
            else f"check out {run.commit and run.commit[:12]}, or merge with --3way."
        )
        raise click.ClickException(f"{who} was not applied cleanly ({reason}): {remedy}")
    if variation.status is not Status.COMPLETED:
        say(f"Note: {who} is {variation.status}; this is what it had by then.", err=True)
    say(
        f"Applied {who} to {into.top}: {patch_size(variation.patch)}.\n"
        "Nothing is committed: git status shows it."
    )


def _who(run: Run, variation: Variation) -> str:
    return f"variation {variation.variation_id} of {run.run_id}"
