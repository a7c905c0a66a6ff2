"""A Git checkout on this machine: what is in it, and a patch put into it."""

import os
import subprocess
from pathlib import Path

import click

from aideator.protocol import ErrorCode
from aideator_gateway.settings import without_ours


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
        done = _git(path, "rev-parse", "--show-toplevel")
        if done.returncode != 0:
            raise click.ClickException(f"{path} is not a Git repository.")
        self.top = Path(done.stdout.decode(errors="surrogateescape").rstrip("\n"))

    def changes(self, *, untracked: bool) -> bool:
        """Whether something is not committed."""
        which = "normal" if untracked else "no"
        done = _git(self.top, "status", "--porcelain", f"--untracked-files={which}")
        return bool(done.stdout)

    def has_commit(self, commit: str) -> bool:
        """Whether the commit is in the repository."""
        return _git(self.top, "cat-file", "-e", f"{commit}^{{commit}}").returncode == 0

    def apply(self, patch: bytes, *, three_way: bool) -> str | None:
        """Apply a patch, all of it or nothing; only ``three_way`` may leave conflicts.

        Returns
        -------
        Git's reason for not applying it, ``None`` if it did.
        """
        words = ["apply", "--whitespace=nowarn", *(["--3way"] if three_way else []), "-"]
        # From the top: below it, git silently leaves out what lies outside the directory.
        done = _git(self.top, *words, stdin=patch)
        if done.returncode == 0:
            return None
        said = done.stderr.decode(errors="replace").splitlines()
        return "; ".join(line.removeprefix("error: ") for line in said if line)


def _git(path: Path, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            ["git", "-C", str(path), *words],
            # Filters that the checkout's settings name are run, too.
            env=without_ours(os.environ),
            input=stdin,
            capture_output=True,
            check=False,
        )
    except FileNotFoundError:
        code = ErrorCode.GIT_MISSING
        raise click.ClickException(f"git is not on PATH. {code.remedy}") from None
