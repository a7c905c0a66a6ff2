"""A Git checkout on this machine: what is in it, and a patch put into it."""

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self
from urllib.parse import unquote, urlsplit

import click

from aideator.protocol import ErrorCode
from aideator_gateway.runs.model import Run
from aideator_gateway.settings import without_ours

_SCP = re.compile(r"(?:[^@/:]+@)?(?P<host>[^/:]+):(?P<path>[^/].*)")
"""``git@host:owner/name``, as ssh spells it."""


class Checkout:
    """The checkout that a path lies in.

    Parameters
    ----------
    path
        Any directory of it.

    Raises
    ------
    click.ClickException
        If it is none, or git is missing.
    """

    def __init__(self, path: Path) -> None:
        self.top = Path(_asked(path, "--show-toplevel"))

    @classmethod
    def around(cls) -> Self | None:
        """Return the checkout that the command was started in, ``None`` outside of any."""
        try:
            return cls(Path())
        except click.ClickException:
            return None

    def changes(self, *, untracked: bool) -> bool:
        """Whether something is not committed."""
        which = "normal" if untracked else "no"
        done = git(self.top, "status", "--porcelain", f"--untracked-files={which}")
        return bool(done.stdout)

    def has_commit(self, commit: str) -> bool:
        """Whether the commit is in the repository."""
        return git(self.top, "cat-file", "-e", f"{commit}^{{commit}}").returncode == 0

    def own(self, runs: Sequence[Run]) -> list[Run]:
        """Return the runs that are of this repository.

        They started from it, from one of its remotes, or from a commit that it has: a clone is
        the same repository by that, wherever it came from.
        """
        asked = "".join(f"{commit}\n" for commit in {run.commit for run in runs} if commit)
        # Nothing is fetched for commits that are not here, which a partial clone would do.
        listed = git(self.top, "cat-file", "--batch-check", stdin=asked.encode(), lazily=False)
        here = {
            line.split()[0] for line in listed.stdout.decode().splitlines() if " commit " in line
        }
        urls = {_location(self.top.as_uri()), *map(_location, self._remotes())}
        return [run for run in runs if run.commit in here or _location(run.github_url) in urls]

    def _remotes(self) -> list[str]:
        done = git(self.top, "config", "--get-regexp", r"^remote\..*\.url$")
        lines = done.stdout.decode(errors="surrogateescape").splitlines()
        return [line.partition(" ")[2] for line in lines]

    def apply(self, patch: bytes, *, three_way: bool) -> str | None:
        """Apply a patch, all of it or nothing; only ``three_way`` may leave conflicts.

        Returns
        -------
        Git's reason for not applying it, ``None`` if it did.
        """
        arguments = ["apply", "--whitespace=nowarn", *(["--3way"] if three_way else []), "-"]
        # From the top: below it, git silently leaves out what lies outside the directory.
        done = git(self.top, *arguments, stdin=patch)
        if done.returncode == 0:
            return None
        said = done.stderr.decode(errors="replace").splitlines()
        return "; ".join(line.removeprefix("error: ") for line in said if line)


def directory_of(path: Path) -> Path:
    """Return what git can fetch from for any directory of a repository, also of a bare one.

    Raises
    ------
    click.ClickException
        If it is in none, or git is missing.
    """
    if git(path, "rev-parse", "--is-inside-work-tree").stdout.strip() == b"true":
        return Checkout(path).top
    return Path(_asked(path, "--absolute-git-dir"))


def head_of(path: Path) -> str | None:
    """Return the commit that HEAD of a repository is, ``None`` if there is none yet."""
    done = git(path, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    return done.stdout.decode().strip() or None


def _asked(path: Path, question: str) -> str:
    done = git(path, "rev-parse", question)
    if done.returncode == 0:
        return done.stdout.decode(errors="surrogateescape").rstrip("\n")
    said = done.stderr.decode(errors="replace").strip()
    if not said or "not a git repository" in said or "must be run in a work tree" in said:
        raise click.ClickException(
            f"{path} is not a Git repository: name one, or make it one with git init and a commit."
        )
    raise click.ClickException(f"{path} cannot be used: {said.removeprefix('fatal: ')}")


def _location(url: str) -> str:
    """Return where a URL leads to, the same for each of its spellings."""
    if "://" not in url and (match := _SCP.fullmatch(url)):
        url = f"ssh://{match['host']}/{match['path']}"
    parts = urlsplit(url)
    path = parts.path.rstrip("/").removesuffix(".git").rstrip("/")
    if parts.scheme in ("", "file"):
        return f"file:{unquote(path)}"
    return f"{parts.hostname}{path}".lower()


def git(
    path: Path,
    *arguments: str,
    stdin: bytes = b"",
    lazily: bool = True,
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Run git in a directory, to its end.

    Parameters
    ----------
    path
        The directory.
    arguments
        Its arguments.
    stdin
        What it is given to read.
    lazily
        Whether a partial clone may fetch what it lacks.
    environment
        The whole environment; else the user's own, for the user's own checkouts.

    Raises
    ------
    click.ClickException
        If git is missing. How git itself ended is in what is returned.
    """
    variables = {
        # Filters that the checkout's settings name are run, too.
        **(without_ours(os.environ) if environment is None else environment),
        "LC_ALL": "C",  # its reasons are read here
        **({} if lazily else {"GIT_NO_LAZY_FETCH": "1"}),
    }
    try:
        return subprocess.run(
            ["git", "-C", str(path), *arguments],
            input=stdin, capture_output=True, check=False, env=variables,
        )  # fmt: skip
    except FileNotFoundError:
        code = ErrorCode.GIT_MISSING
        raise click.ClickException(f"git is not on PATH. {code.remedy}") from None
