"""What a person gives for REPOSITORY, as a URL that a gateway takes."""

import re
from pathlib import Path

import click

from aideator_gateway.command.cli.checkout import Checkout, directory_of, head_of
from aideator_gateway.command.cli.output import say

_WHAT = (
    "REPOSITORY is an https URL (https://host/owner/repository), or the path of a Git repository "
    "on this machine"
)
_SSH = re.compile(r"(?:ssh://)?[^@/:]+@(?P<host>[^@/:]+)[:/](?P<path>[^/].*)")
_WITH_HOST = re.compile(r"[\w-]+(?:\.[\w-]+)+/[\w.-]+/[\w./-]+")
_SHORT = re.compile(r"[\w.-]+/[\w.-]+")


def url_of(argument: str, ref: str | None = None) -> tuple[str, bool]:
    """Return a URL for the argument, and whether it is on this machine.

    Of a repository on this machine HEAD is taken, unless there is a ``ref``; what is not
    committed there is told of on standard error.

    Raises
    ------
    click.ClickException
        If it can be neither a URL nor a repository, or has no commit.
    """
    if match := _SSH.fullmatch(argument):
        raise click.ClickException(
            f"{argument} is an address for ssh, and repositories come over https: "
            f"try https://{match['host']}/{match['path'].removesuffix('.git')}. {_WHAT}."
        )
    if "://" in argument:
        return argument, False
    top = directory_of(_directory(argument))
    if ref is None and head_of(top) is None:
        raise click.ClickException(
            f"{argument} has no commit at its HEAD, and a run starts from one: commit something, "
            "or name a branch, a tag or a commit with --ref."
        )
    if ref is None and _has_changes(top):
        say("Note: uncommitted changes are not part of the run, which takes HEAD.", err=True)
    return top.as_uri(), True


def _directory(argument: str) -> Path:
    """Return the directory that is meant, which exists."""
    if not argument.strip():
        raise click.ClickException(f"REPOSITORY is empty. {_WHAT}.")
    path = Path(argument)
    try:
        if not path.exists() and argument.startswith("~"):
            path = path.expanduser()
        if path.is_dir():
            return path
        there = path.exists()
    except (OSError, RuntimeError) as error:  # also a home directory of nobody
        why = getattr(error, "strerror", None) or error
        raise click.ClickException(f"{argument} cannot be read ({why}). {_WHAT}.") from None
    if there:
        raise click.ClickException(f"{argument} is a file, not a repository. {_WHAT}.")
    raise click.ClickException(f"There is no directory {argument}. {_meant(argument)}{_WHAT}.")


def _meant(argument: str) -> str:
    plain = argument.removesuffix("/").removesuffix(".git")
    if _WITH_HOST.fullmatch(plain):
        return f"If the URL was meant, it is https://{plain}. "
    if _SHORT.fullmatch(plain) and not argument.startswith("."):
        return f"If the repository on GitHub was meant, it is https://github.com/{plain}. "
    return ""


def _has_changes(top: Path) -> bool:
    try:
        return Checkout(top).changes(untracked=True)
    except click.ClickException:
        return False  # a bare repository has nothing but commits
