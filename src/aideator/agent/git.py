"""Run git on the workspace in a way that nothing in the repository or the machine can bend."""

import asyncio
import contextlib
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

_CONFIG = {
    "core.autocrlf": "false",
    "core.safecrlf": "false",
    "core.fileMode": "true",
    "core.fsmonitor": "false",
    "core.untrackedCache": "false",
    "core.hooksPath": os.devnull,
    "core.excludesFile": os.devnull,
    "core.attributesFile": os.devnull,
    "core.quotePath": "true",
    "core.bigFileThreshold": "64m",
    "diff.renameLimit": "1000",
    "diff.suppressBlankEmpty": "false",
    "gc.auto": "0",
    "safe.directory": "*",
}

# These come before the repository's own. Line endings are left to it, as the checkout
# honours them; the rest could keep files out of the patch or make it unreadable.
_ATTRIBUTES = "* !filter !working-tree-encoding !diff\n"


_COPIED = "\tcheckStat = minimal\n\ttrustctime = false\n"


class GitError(Exception):
    """A git command failed or took too long; the text is git's own."""


class Git:
    """Git on the workspace, with a git directory of its own that borrows the base's objects.

    So the base's git directory is only read, may be shared with other attempts, and its
    configuration does not count.

    Parameters
    ----------
    base
        Git directory whose ``HEAD`` is the base commit.
    work_tree
        The workspace.
    scratch
        An existing directory outside of the workspace for what git writes.
    known
        An index of the base commit that knows how its files are in the workspace, if there is
        one; none need be read then to see that they have not changed.
    """

    def __init__(
        self, base: Path, work_tree: Path, scratch: Path, known: Path | None = None
    ) -> None:
        self._base = base
        self._known = known
        self._scratch = scratch
        self._work_tree = work_tree
        self._environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(scratch),
            "LC_ALL": "C",
            "GIT_WORK_TREE": str(work_tree),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_LITERAL_PATHSPECS": "1",
            "GIT_CONFIG_COUNT": str(len(_CONFIG)),
        }
        for number, (name, value) in enumerate(_CONFIG.items()):
            self._environment[f"GIT_CONFIG_KEY_{number}"] = name
            self._environment[f"GIT_CONFIG_VALUE_{number}"] = value

    async def open(self) -> str:
        """Make the git directory and return the base commit's tree; needed before all else.

        Raises
        ------
        GitError
            The base's git directory cannot be read.
        """
        self._environment["GIT_DIR"] = str(self._base)
        out = await self.run("rev-parse", "--show-object-format", "HEAD^{tree}")
        object_format, tree = out.decode().split()
        own = self._scratch / "git"
        for name in ("objects/info", "refs", "info"):
            (own / name).mkdir(parents=True, exist_ok=True)
        (own / "HEAD").write_text("ref: refs/heads/none\n")
        (own / "config").write_text(
            "[core]\n\trepositoryformatversion = 1\n\tbare = false\n"
            # A copy keeps of a file's times the last change alone, and whose it is may differ.
            f"{_COPIED if self._known else ''}"
            f"[extensions]\n\tobjectFormat = {object_format}\n"
        )
        (own / "objects/info/alternates").write_text(f"{_quoted(_objects_of(self._base))}\n")
        (own / "info/attributes").write_text(_ATTRIBUTES)
        self._environment["GIT_DIR"] = str(own)
        return tree

    async def start_index(self, tree: str) -> None:
        """Begin the index of the workspace with the base commit's tree.

        A copy of ``known`` is as new as this moment: files that are no older, to the second, are
        compared by content, so that nothing that is changed from here on can look unchanged.

        Raises
        ------
        GitError
            The tree cannot be read.
        """
        if self._known is None:
            await self.run("read-tree", tree)
        else:
            shutil.copyfile(self._known, self.index("workspace"))

    def index(self, name: str) -> Path:
        """Return the path of a private index file."""
        return self._scratch / f"{name}.index"

    async def run(
        self,
        *arguments: str,
        index: str = "workspace",
        stdin: bytes = b"",
        accept: Sequence[int] = (0,),
        limit: int | None = None,
        glob: bool = False,
    ) -> bytes:
        """Run one git command and return its output.

        Parameters
        ----------
        index
            Name of the private index to work on.
        accept
            Exit codes that are no failure.
        limit
            Most bytes of output to take; git is stopped when there are more, and
            ``limit + 1`` bytes come back.
        glob
            Read path arguments as glob patterns, not to the letter.

        Raises
        ------
        GitError
            Another exit code.
        FileNotFoundError
            There is no git.
        """
        environment = {**self._environment, "GIT_INDEX_FILE": str(self.index(index))}
        if glob:
            del environment["GIT_LITERAL_PATHSPECS"]
            environment["GIT_GLOB_PATHSPECS"] = "1"
        process = await asyncio.create_subprocess_exec(
            "git",
            *arguments,
            cwd=self._work_tree,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        async with killed_at_exit(process):
            if limit is None:
                out, err = await process.communicate(stdin)
            else:
                out, err = await _bounded(process, limit)
                if len(out) > limit:
                    return out
        if process.returncode not in accept:
            said = err.decode("utf-8", "replace").strip()[-2000:]
            raise GitError(f"git {arguments[0]} failed ({process.returncode}): {said}")
        return out

    def unlock(self) -> None:
        """Remove locks that a git command left behind when it was stopped halfway."""
        for lock in self._scratch.glob("*.index.lock"):
            with contextlib.suppress(FileNotFoundError):
                lock.unlink()


@contextlib.asynccontextmanager
async def killed_at_exit(process: asyncio.subprocess.Process) -> AsyncIterator[None]:
    """Leave no process and no pipe behind, however the block is left."""
    try:
        yield
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        # Reading to the end is what closes the pipes.
        await process.communicate()


async def _bounded(process: asyncio.subprocess.Process, limit: int) -> tuple[bytes, bytes]:
    # Nothing is sent to a command whose output is bounded.
    assert process.stdin and process.stdout and process.stderr  # noqa: S101  # All are pipes.
    process.stdin.close()
    errors = asyncio.create_task(process.stderr.read())
    try:
        parts: list[bytes] = []
        size = 0
        while size <= limit and (part := await process.stdout.read(64 * 1024)):
            parts.append(part)
            size += len(part)
        if size > limit:
            return b"".join(parts)[: limit + 1], b""
        await process.wait()
        return b"".join(parts), await errors
    finally:
        errors.cancel()


def _objects_of(git_dir: Path) -> Path:
    # A linked worktree keeps its objects in the repository it belongs to.
    common = git_dir / "commondir"
    base = git_dir / common.read_text().strip() if common.is_file() else git_dir
    return (base / "objects").resolve()


def _quoted(path: Path) -> str:
    # An entry that starts with a quote is C-quoted, whatever else is in its name.
    text = str(path).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{text}"'
