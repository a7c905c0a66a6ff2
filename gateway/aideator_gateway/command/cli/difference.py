"""What two attempts made of one commit, compared: the files where they can be had, else patches."""

import asyncio
import os
import re
import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import click

from aideator_gateway.command.cli.attempts import Attempts
from aideator_gateway.command.cli.checkout import git
from aideator_gateway.command.cli.output import say
from aideator_gateway.printable import one_line
from aideator_gateway.runs.model import Run

FETCH_SECONDS = 120

_HUNK = re.compile(rb"@@ -\S+ \+\S+ @@")


@dataclass(frozen=True)
class Difference:
    """How one attempt differs from another."""

    content: bytes
    """A diff; empty if they are the same."""

    why_patches: str | None = None
    """Why patches were compared in place of files; ``None`` where files were."""


class _NotAtHandError(Exception):
    """The commit that the run started from cannot be had."""


def difference(attempts: Attempts, old: int, new: int, *, hosts: Collection[str]) -> Difference:
    """Return what leads from one attempt's files to another's.

    The commit is taken from a repository on this machine, which nothing is written to: the
    run's own, or the one that the command was started in. Else it is fetched.

    Parameters
    ----------
    attempts
        Of the run.
    old, new
        Numbers of variations.
    hosts
        Those that the repository's own one may redirect to.

    Raises
    ------
    click.ClickException
        If one has no patch, or git is missing.
    """
    before, after = attempts.patch(old), attempts.patch(new)
    if before == after:
        return Difference(b"")
    with tempfile.TemporaryDirectory(prefix="aideator-diff-") as directory:
        work = Path(directory)
        try:
            made = _Made(work, attempts.run, hosts)
            return Difference(made.between(made.tree(before), made.tree(after)))
        except _NotAtHandError as error:
            return Difference(_of_patches(work, {old: before, new: after}), str(error))


class _Made:
    """Attempts' files as trees, in a repository that holds them and nothing else."""

    def __init__(self, directory: Path, run: Run, hosts: Collection[str]) -> None:
        if run.commit is None:
            raise _NotAtHandError("it is not known which one it was")
        self._commit = run.commit
        self._git_dir = directory / "git"
        self._index = directory / "index"
        if not any(self._borrow(path) for path in _candidates(run)):
            self._fetch(run, directory, hosts)

    def tree(self, patch: bytes) -> str:
        """Return what a patch makes of the commit, the id of a tree."""
        self._index.unlink(missing_ok=True)
        self._ask("read-tree", self._commit)
        if patch:
            self._ask("apply", "--cached", "--whitespace=nowarn", "-", stdin=patch)
        return self._ask("write-tree").decode().strip()

    def between(self, old: str, new: str) -> bytes:
        """Return the diff of two trees, in the form that attempts' patches have."""
        flags = ("-r", "-p", "-M", "--binary", "--full-index", "--no-color", "--no-ext-diff")
        return self._ask("diff-tree", *flags, old, new)

    def _borrow(self, path: Path) -> bool:
        """Whether the repository at ``path`` has the commit; its objects are then read in place."""
        if not path.is_dir():
            return False
        if git(path, "cat-file", "-e", f"{self._commit}^{{tree}}", lazily=False).returncode != 0:
            return False
        arguments = ("--path-format=absolute", "--git-path", "objects")
        objects = git(path, "rev-parse", *arguments).stdout.rstrip(b"\n")
        kind = "sha256" if len(self._commit) == 64 else "sha1"
        self._git_dir.mkdir()
        self._ask("init", "--quiet", "--bare", "--template=", f"--object-format={kind}")
        alternates = self._git_dir / "objects/info/alternates"
        alternates.parent.mkdir(exist_ok=True)
        alternates.write_bytes(objects + b"\n")
        return True

    def _fetch(self, run: Run, directory: Path, hosts: Collection[str]) -> None:
        if not run.github_url.startswith("https:"):
            raise _NotAtHandError(f"{run.github_url} has gone, or does not have it any more")
        from aideator_gateway.backends.git import fetch_commit  # noqa: PLC0415 - seldom needed
        from aideator_gateway.runs.backend import BackendError  # noqa: PLC0415

        say(
            f"Fetching commit {self._commit[:12]} of {run.github_url} to compare with "
            "(Ctrl-C stops it) …",
            err=True,
        )
        fetching = fetch_commit(
            run.github_url,
            self._commit,
            hosts=hosts,
            git_dir=self._git_dir,
            tree=directory / "tree",
        )
        try:
            asyncio.run(asyncio.wait_for(fetching, FETCH_SECONDS))
        except TimeoutError:
            raise _NotAtHandError(f"it did not come within {FETCH_SECONDS} s") from None
        except BackendError as error:
            raise _NotAtHandError(one_line(str(error)).rstrip(".")) from None

    def _ask(self, *arguments: str, stdin: bytes = b"") -> bytes:
        done = git(
            self._git_dir, *arguments, stdin=stdin, lazily=False,
            environment={
                # Nothing of the user's own settings: the same patches, the same answer.
                "PATH": os.environ.get("PATH", os.defpath),
                "HOME": os.devnull,
                "GIT_CONFIG_GLOBAL": os.devnull,
                "GIT_CONFIG_NOSYSTEM": "1",
                "GIT_DIR": str(self._git_dir),
                "GIT_INDEX_FILE": str(self._index),
            },
        )  # fmt: skip
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip().splitlines() or ["nothing"]
            raise _NotAtHandError(f"git said: {one_line(said[-1])}")
        return done.stdout


def _candidates(run: Run) -> list[Path]:
    """Return where on this machine the run's commit may be."""
    parts = urlsplit(run.github_url)
    own = [Path(unquote(parts.path))] if parts.scheme == "file" else []
    return [*own, Path.cwd()]


def _of_patches(directory: Path, patches: dict[int, bytes]) -> bytes:
    """Return the diff of two patches, without what differs only for where things stand."""
    names = []
    for number, patch in patches.items():
        names.append(f"variation-{number}.patch")
        (directory / names[-1]).write_bytes(_without_positions(patch))
    flags = ("--no-index", "--text", "--no-color", "--no-ext-diff", "--no-textconv")
    done = git(directory, "diff", *flags, "--", *names)
    if done.returncode not in (0, 1):  # as of diff
        said = done.stderr.decode(errors="replace").strip()
        raise click.ClickException(f"The patches cannot be compared: {said}")
    return done.stdout


def _without_positions(patch: bytes) -> bytes:
    lines = patch.split(b"\n")
    return b"\n".join(
        _HUNK.sub(b"@@", line, count=1) for line in lines if not line.startswith(b"index ")
    )
