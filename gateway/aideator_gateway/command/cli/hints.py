"""Commands to suggest that work as they stand."""

import shlex

import click


def hint(*arguments: object) -> str:
    """Return ``aideator`` with arguments, on the data directory that was named, if one was."""
    context = click.get_current_context(silent=True)
    named = context and context.params.get("data_dir")
    more = ("--data-dir", named) if named else ()
    return shlex.join(["aideator", *(str(argument) for argument in (*arguments, *more))])
