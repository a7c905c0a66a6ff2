"""Take the patch: what the agent changed, as a diff against the base commit.

The workspace may differ from the base commit before the agent starts, because a set-up
command ran in it. So two snapshots are compared, one before and one after, and only paths
that differ between them go into the patch; their content is then compared with the base.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass

from aideator.agent.git import Git, GitError

_SECONDS = 60.0


@dataclass(frozen=True)
class Patch:
    """A diff that ``git apply`` takes on a fresh checkout of the base commit."""

    diff: bytes = b""
    """Empty if nothing changed, or if it is ``too_long``."""
    size: int = 0
    """Bytes of the whole diff; of a diff that is ``too_long``, at least this many."""
    files: int = 0
    insertions: int = 0
    deletions: int = 0
    too_long: bool = False


class Patcher:
    """Takes snapshots of the workspace and the diff between them.

    Parameters
    ----------
    git
        Git on the workspace.
    max_bytes
        Longest diff that is carried.
    """

    def __init__(self, git: Git, max_bytes: int) -> None:
        self._git = git
        self._max_bytes = max_bytes
        self._base = ""
        self._before: str | None = None
        self.unreadable = ""
        """What git could not read and thus is not in a snapshot, in git's words."""

    async def start(self) -> None:
        """Take the snapshot before the agent's work.

        Raises
        ------
        GitError
            The git directory or the workspace cannot be read, or takes too long to read.
        """
        async with _bounded("reading the workspace"):
            self._base = await self._git.open()
            await self._git.run("read-tree", self._base)
            self._before = await self._snapshot()

    async def finish(self, written: Iterable[str]) -> Patch:
        """Take the snapshot after the agent's work and return the patch.

        Parameters
        ----------
        written
            Paths that tools wrote, relative to the root; they count even if ignored.

        Raises
        ------
        GitError
            The workspace cannot be read, or takes too long to read.
        """
        if self._before is None:
            return Patch()
        self._git.unlock()
        async with _bounded("taking the patch"):
            return await self._patch(self._before, written)

    async def _patch(self, before: str, written: Iterable[str]) -> Patch:
        after = await self._snapshot(written)
        result = await self._only_changed(before, after)
        diff = await self._git.run(
            *("diff-tree", "-r", "-p", "-M", "--binary", "--full-index", "--no-color"),
            *("--no-ext-diff", "--no-textconv", "--src-prefix=a/", "--dst-prefix=b/"),
            *("--ignore-submodules=all", self._base, result),
            limit=self._max_bytes,
        )
        files, insertions, deletions = await self._count(result)
        too_long = len(diff) > self._max_bytes
        return Patch(
            diff=b"" if too_long else diff,
            size=len(diff),
            files=files,
            insertions=insertions,
            deletions=deletions,
            too_long=too_long,
        )

    async def _snapshot(self, written: Iterable[str] = ()) -> str:
        await self._add("--all", "--ignore-errors", "--", ".")
        if paths := b"\0".join(path.encode("utf-8", "surrogateescape") for path in written):
            await self._add(
                *("--force", "--ignore-errors", "--pathspec-from-file=-", "--pathspec-file-nul"),
                stdin=paths,
            )
        return await self._tree("workspace")

    async def _add(self, *arguments: str, stdin: bytes = b"") -> None:
        try:
            await self._git.run("add", *arguments, stdin=stdin)
        except GitError as error:
            # With --ignore-errors everything readable has been added all the same.
            self.unreadable = str(error)

    async def _tree(self, index: str) -> str:
        return (await self._git.run("write-tree", index=index)).decode().strip()

    async def _only_changed(self, before: str, after: str) -> str:
        """Return the base commit's tree with only those paths replaced that the agent changed."""
        raw = await self._git.run("diff-tree", "-r", "-z", "--raw", "--no-renames", before, after)
        fields = raw.split(b"\0")
        lines = []
        for entry, path in zip(fields[0::2], fields[1::2], strict=False):
            _, mode, _, digest, status = entry.split(b" ")
            if status == b"D":
                mode = b"0"
            lines.append(mode + b" " + digest + b"\t" + path)
        await self._git.run("read-tree", self._base, index="result")
        await self._git.run(
            *("update-index", "-z", "--index-info"),
            index="result",
            stdin=b"".join(line + b"\0" for line in lines),
        )
        return await self._tree("result")

    async def _count(self, result: str) -> tuple[int, int, int]:
        out = await self._git.run(
            *("diff-tree", "-r", "-M", "--numstat", "-z", "--ignore-submodules=all"),
            *(self._base, result),
        )
        files = insertions = deletions = 0
        fields = iter(out.split(b"\0"))
        for field in fields:
            if not field:
                continue
            added, removed, name = field.split(b"\t", 2)
            if not name:
                # A rename's two names follow by themselves.
                next(fields), next(fields)
            files += 1
            insertions += int(added) if added.isdigit() else 0
            deletions += int(removed) if removed.isdigit() else 0
        return files, insertions, deletions


@contextlib.asynccontextmanager
async def _bounded(what: str) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(_SECONDS):
            yield
    except TimeoutError:
        raise GitError(f"{what} took more than {_SECONDS:g} s") from None
