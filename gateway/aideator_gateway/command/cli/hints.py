"""Commands to suggest that work as they stand."""

import shlex

import click


def hint(*words: object) -> str:
    """Return ``aideator`` with these words, on the data directory that was named, if one was."""
    context = click.get_current_context(silent=True)
    named = context and context.params.get("data_dir")
    more = ("--data-dir", named) if named else ()
    return shlex.join(["aideator", *(str(word) for word in (*words, *more))])
