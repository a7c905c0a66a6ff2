"""Take the patch: what the agent changed, as a diff against the base commit.

The workspace may differ from the base commit before the agent starts, because a set-up
command ran in it. So two snapshots are compared, one before and one after, and only paths
that differ between them go into the patch; their content is then compared with the base.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from aideator.agent.git import Git, GitError
from aideator.protocol.secrets import Secrets

_SECONDS = 60.0

_SUBMODULE = "160000"

_NO_SECRETS = Secrets(())

_MAX_ARGUMENTS = 200


@dataclass(frozen=True)
class Patch:
    """A diff that ``git apply`` takes on a fresh checkout of the base commit."""

    diff: bytes = b""
    """Empty if nothing changed, or if it is ``too_long`` or ``holds_secret``."""
    size: int = 0
    """Bytes of the whole diff; of a diff that is ``too_long``, at least this many."""
    files: int = 0
    insertions: int = 0
    deletions: int = 0
    too_long: bool = False
    holds_secret: bool = False
    """The diff holds a secret and is left out."""
    left_out: tuple[str, ...] = ()
    """Files that tools wrote, and that a checkout with the patch would not have like that."""


class Patcher:
    """Takes snapshots of the workspace and the diff between them.

    Parameters
    ----------
    git
        Git on the workspace.
    max_bytes
        Longest diff that is carried.
    secrets
        What no diff may hold.
    """

    def __init__(self, git: Git, max_bytes: int, secrets: Secrets = _NO_SECRETS) -> None:
        self._git = git
        self._max_bytes = max_bytes
        self._secrets = secrets
        self._base = ""
        self._before: str | None = None
        self.unreadable = ""
        """What git could not read and thus is not in a snapshot, in git's words."""
        self.submodules: frozenset[str] = frozenset()
        """Directories that the patch has no files of: repositories of their own, as paths
        relative to the root; known after ``start``."""

    async def start(self) -> None:
        """Take the snapshot before the agent's work.

        Raises
        ------
        GitError
            The git directory or the workspace cannot be read, or takes too long to read.
        """
        async with _bounded("reading the workspace"):
            self._base = await self._git.open()
            await self._git.start_index(self._base)
            self._before = await self._snapshot()
            self.submodules = await self._submodules(self._before)

    async def finish(self, written: Collection[str]) -> Patch:
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

    async def _patch(self, before: str, written: Collection[str]) -> Patch:
        after = await self._snapshot(written)
        result = await self._only_changed(before, after)
        diff = await self._diff(result, "--binary", limit=self._max_bytes)
        files, insertions, deletions = await self._count(result)
        too_long = len(diff) > self._max_bytes
        holds_secret = not too_long and await self._holds_secret(diff, result)
        return Patch(
            diff=b"" if too_long or holds_secret else diff,
            size=len(diff),
            files=files,
            insertions=insertions,
            deletions=deletions,
            too_long=too_long,
            holds_secret=holds_secret,
            left_out=await self._left_out(result, written),
        )

    async def _diff(self, result: str, kind: str, *, limit: int | None = None) -> bytes:
        return await self._git.run(
            *("diff-tree", "-r", "-p", "-M", kind, "--full-index", "--no-color"),
            *("--no-ext-diff", "--no-textconv", "--src-prefix=a/", "--dst-prefix=b/"),
            *("--ignore-submodules=all", self._base, result),
            limit=limit,
        )

    async def _holds_secret(self, diff: bytes, result: str) -> bool:
        if self._secrets.are_in(diff):
            return True
        # What git takes for binary is packed in a patch; as text it can be looked through.
        packed = b"\nGIT binary patch\n" in diff
        return packed and self._secrets.are_in(await self._diff(result, "--text"))

    async def _left_out(self, result: str, written: Iterable[str]) -> tuple[str, ...]:
        missing: list[str] = []
        for paths in _batches(sorted(written)):
            listed = await self._git.run("ls-tree", "-z", result, "--", *paths)
            kept = {path: digest for path, (_, digest) in _entries(listed).items()}
            found = zip(paths, await self._digests(paths), strict=True)
            missing += [path for path, digest in found if kept.get(path) != digest]
        return tuple(missing)

    async def _digests(self, paths: Sequence[str]) -> list[str]:
        """Return digests of files as git would keep them: with the line ends it is asked for."""
        try:
            return (await self._git.run("hash-object", "--", *paths)).decode().split()
        except GitError:
            # One that cannot be read, and so is in no patch, costs the others their answer.
            if len(paths) == 1:
                return [""]
            half = len(paths) // 2
            return await self._digests(paths[:half]) + await self._digests(paths[half:])

    async def _submodules(self, tree: str) -> frozenset[str]:
        entries = _entries(await self._git.run("ls-tree", "-r", "-z", tree))
        return frozenset(path for path, (mode, _) in entries.items() if mode == _SUBMODULE)

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


def _batches(paths: Sequence[str]) -> Iterator[Sequence[str]]:
    # One command cannot take any number of arguments.
    return (paths[i : i + _MAX_ARGUMENTS] for i in range(0, len(paths), _MAX_ARGUMENTS))


def _entries(listed: bytes) -> dict[str, tuple[str, str]]:
    """Return mode and digest by path, of what ``ls-tree -z`` lists."""
    found = {}
    for entry in listed.decode("utf-8", "surrogateescape").split("\0")[:-1]:
        attributes, _, path = entry.partition("\t")
        mode, _, digest = attributes.split(" ")
        found[path] = (mode, digest)
    return found


@contextlib.asynccontextmanager
async def _bounded(what: str) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(_SECONDS):
            yield
    except TimeoutError:
        raise GitError(f"{what} took more than {_SECONDS:g} s") from None
