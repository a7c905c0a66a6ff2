"""Commits that are kept: each is fetched and checked out once, for all gateways and all runs.

A repository's commits lie together, by its address; each is a directory that is made elsewhere
and renamed to its place when it is whole. Three rules keep gateways that share them apart:

- who looks for a commit, makes one or removes one holds the lock of its repository;
- who uses one shares a lock on it, which is taken while the repository's is held;
- who removes one has that lock alone, and moves the directory away before anything in it goes.
"""

import hashlib
import logging
import re
import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from aideator_gateway.backends.commits.entry import Entry
from aideator_gateway.backends.commits.lock import FileLock
from aideator_gateway.backends.commits.size import measured
from aideator_gateway.backends.git import check_out, fetch, join_packs, make_git_dir
from aideator_gateway.backends.workdir import WorkDirectory
from aideator_gateway.runs.backend import BackendError
from aideator_gateway.runs.metrics import Metrics
from aideator_gateway.settings import Settings

logger = logging.getLogger(__name__)

MAX_PACKS = 30
"""Most packs of objects that a commit has; those of commits before it are among them."""

MAX_KEPT = 200
"""Most commits that are kept beside those in use, so that to look through them takes no time."""

_LOCK = "lock"
_REPOSITORY = re.compile(r"[0-9a-f]{32}")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


class Kept:
    """A commit in use; it stays where it is until it is released."""

    def __init__(self, entry: Entry, lock: FileLock, commits: "Commits") -> None:
        self._lock = lock
        self._commits = commits
        self._entry = entry
        self.commit = entry.path.name
        """The commit's id."""
        self.git_dir = entry.git_dir
        """A git directory whose ``HEAD`` is the commit; only to be read."""
        self.index = entry.index
        """Git's index of the tree; only to be read."""
        self.tree = entry.tree
        """The commit's files, without ``.git``; only to be read."""

    def release(self) -> None:
        """Say that it is not used any more."""
        self._entry.touch()
        self._lock.release()
        self._commits.trim_again()


class Commits:
    """The commits that are kept in a directory.

    Parameters
    ----------
    path
        The directory; gateways may share it.
    settings
        Where repositories may lead, how large they may be, and how much is kept.
    making
        Where commits are made and removed, on the same file system.
    metrics
        Told how much is kept, and how often that served.
    """

    def __init__(
        self, path: Path, settings: Settings, making: WorkDirectory, metrics: Metrics
    ) -> None:
        self._path = path
        self._settings = settings
        self._making = making
        self._metrics = metrics
        self._too_full = False

    def start(self) -> None:
        """See how much is there."""
        for directory in self._repositories():
            # Nothing but the lock is there if a gateway died while it fetched the first commit.
            with suppress(OSError):
                alone = FileLock.take(directory / _LOCK)
                if alone is not None:
                    with alone:
                        _remove_if_empty(directory)
        self.trim()

    async def take(self, url: str, ref: str | None) -> Kept:
        """Return the commit that ``ref`` names now, and keep it until it is released.

        The server is asked each time, and sends what is not here yet.

        Parameters
        ----------
        url
            A repository that ``repository.check_url`` let through.
        ref
            Branch, tag or full commit id; the default branch if ``None``.

        Raises
        ------
        BackendError
            If there is no such repository or commit, it could not be reached, or is too large.
        OSError
            If it cannot be kept.
        """
        directory = self._path / hashlib.sha256(url.encode()).hexdigest()[:32]
        self._path.mkdir(mode=0o700, exist_ok=True)
        with await _alone(directory):
            try:
                entry, made = await self._found(directory, url, ref)
                lock = _in_use(entry)
            finally:
                _remove_if_empty(directory)
        entry.touch()
        if made:
            self.trim()
        return Kept(entry, lock, self)

    async def _found(self, directory: Path, url: str, ref: str | None) -> tuple[Entry, bool]:
        """Return the commit that ``ref`` names, and whether it had to be made."""
        place = self._making.make(secrets.token_hex(8))
        try:
            new = Entry(place / "commit")
            await make_git_dir(new.git_dir)
            self._borrow(directory, new)
            limits = self._settings
            commit = await fetch(
                new.git_dir, url, ref,
                hosts=limits.repository_hosts, max_bytes=limits.max_repo_bytes,
            )  # fmt: skip
            entry = Entry(directory / commit)
            if entry.usable:
                self._metrics.commits_reused.inc()
                return entry, False
            size = await measured(
                new.git_dir, max_bytes=limits.max_repo_bytes, max_entries=limits.max_repo_files
            )
            await check_out(new.git_dir, new.tree)
            await self._tidy(new, commit)
            new.keep(url, size)
            if entry.path.exists():
                self._take_away(entry)
            new.path.rename(entry.path)
        finally:
            self._making.remove(place)
        self._metrics.commits_fetched.inc()
        return entry, True

    def _borrow(self, directory: Path, new: Entry) -> None:
        """Let a new commit have the objects of the repository's last one."""
        last = max(
            (entry for entry in _entries_of(directory) if entry.usable),
            key=lambda entry: entry.last_used,
            default=None,
        )
        if last is not None:
            # Where there are no links, all is sent again.
            with suppress(OSError):
                last.lend(new.git_dir)

    async def _tidy(self, new: Entry, commit: str) -> None:
        """Prepare a commit for being borrowed from, and put its packs together if they are many."""
        many = sum(pack.suffix == ".pack" for pack in new.packs()) > MAX_PACKS
        new.name_commit(commit, alone=many)
        if many:
            try:
                await join_packs(new.git_dir)
            except BackendError as error:
                logger.warning("the packs of commit %s stay many: %s", commit, error)

    def trim_again(self) -> None:
        """Remove what could not be removed before, because it was in use."""
        if self._too_full:
            self.trim()

    def trim(self) -> None:
        """Remove the longest unused commits until the others are within the bounds."""
        entries = sorted(self._entries(), key=lambda entry: (entry.usable, entry.last_used))
        space = _Space(entries)
        self._too_full = self._over(space)
        for entry in entries:
            if entry.usable and not self._too_full:
                break
            if self._removed(entry):
                space.without(entry)
            self._too_full = self._over(space)
        self._metrics.commits_kept_bytes.set(space.bytes)

    def _over(self, space: "_Space") -> bool:
        return space.bytes > self._settings.max_cache_bytes or space.count > MAX_KEPT

    def _removed(self, entry: Entry) -> bool:
        """Remove a commit unless it is used, or its repository is at work; whether it was."""
        directory = entry.path.parent
        try:
            alone = FileLock.take(directory / _LOCK)
            if alone is None:
                return False
            with alone:
                unused = FileLock.take(entry.used)
                if unused is None:
                    return False
                with unused:
                    self._take_away(entry)
                _remove_if_empty(directory)
        except OSError as error:
            logger.debug("the commit %s stays: %s", entry.path, error)
            return False
        self._metrics.commits_removed.inc()
        return True

    def _take_away(self, entry: Entry) -> None:
        # While its files go, and if this gateway is killed at that, nothing says it is whole.
        entry.give_up()
        self._making.take_away(entry.path)

    def _entries(self) -> Iterator[Entry]:
        for directory in self._repositories():
            yield from _entries_of(directory)

    def _repositories(self) -> Iterator[Path]:
        with suppress(OSError):
            for directory in self._path.iterdir():
                if _REPOSITORY.fullmatch(directory.name):
                    yield directory


def _in_use(entry: Entry) -> FileLock:
    """Return a share of the lock on a commit whose repository's lock is held."""
    lock = FileLock.take(entry.used, shared=True)
    # Who has it alone has the repository's as well.
    assert lock is not None  # noqa: S101
    return lock


def _remove_if_empty(directory: Path) -> None:
    """Remove a repository's directory if nothing is in it but its lock, which is held."""
    with suppress(OSError):
        if next(_entries_of(directory), None) is None:
            (directory / _LOCK).unlink()
            directory.rmdir()


async def _alone(directory: Path) -> FileLock:
    """Take the lock of a repository's directory, which is made if it is missing."""
    while True:
        directory.mkdir(mode=0o700, exist_ok=True)
        # It goes with its last commit.
        with suppress(FileNotFoundError):
            return await FileLock.wait(directory / _LOCK)


def _entries_of(directory: Path) -> Iterator[Entry]:
    with suppress(OSError):
        for path in directory.iterdir():
            if _COMMIT.fullmatch(path.name):
                yield Entry(path)


class _Space:
    """What commits take on disk together: packs that they share count once."""

    def __init__(self, entries: list[Entry]) -> None:
        self._shared: dict[tuple[int, int], int] = {}
        self._packs: dict[Path, list[tuple[tuple[int, int], int]]] = {}
        self._trees = {entry.path: entry.tree_bytes for entry in entries}
        self.bytes = sum(self._trees.values())
        self.count = len(entries)
        for entry in entries:
            found = self._packs[entry.path] = []
            for pack in entry.packs():
                with suppress(OSError):
                    info = pack.stat()
                    found.append(((info.st_dev, info.st_ino), info.st_size))
            for file, size in found:
                if file not in self._shared:
                    self.bytes += size
                self._shared[file] = self._shared.get(file, 0) + 1

    def without(self, entry: Entry) -> None:
        """Take one out."""
        self.count -= 1
        self.bytes -= self._trees[entry.path]
        for file, size in self._packs[entry.path]:
            self._shared[file] -= 1
            if not self._shared[file]:
                self.bytes -= size
