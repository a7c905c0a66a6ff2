"""How variations get their own tree of files: the cheapest way that works here, tried at start.

An overlay costs nothing, whatever the size of the commit; a reflink shares the content of files
where the file system can; a copy works everywhere.
"""

import logging
import os
import secrets
from collections.abc import Awaitable, Callable, Sequence
from enum import StrEnum
from pathlib import Path

from aideator.protocol import ErrorCode
from aideator_gateway.backends.children import plain_environment, run
from aideator_gateway.backends.local.tree import OverlayTree, Tree
from aideator_gateway.backends.workdir import WorkDirectory
from aideator_gateway.runs.backend import BackendError

logger = logging.getLogger(__name__)

COPY_SECONDS = 600.0
"""How long a variation's copy of the repository may take."""


_PROBE = {"kept": "kept\n", "old": "old\n"}


class Way(StrEnum):
    """How a tree is made, the best way first.

    bubblewrap's own overlay works where only bubblewrap may make namespaces; each time that it is
    unmounted, the whole file system is written to disk.
    """

    OVERLAY = "overlay"
    BUBBLEWRAP_OVERLAY = "bubblewrap_overlay"
    REFLINK = "reflink"
    COPY = "copy"


WAYS = tuple(Way)


class Trees:
    """Makes trees.

    Parameters
    ----------
    work
        Where they are tried.
    ways
        The ways that may be taken, the best first; the last one is not tried.
    """

    def __init__(self, work: WorkDirectory, ways: Sequence[Way] = WAYS) -> None:
        self._work = work
        self._ways = ways
        self._way = ways[-1]

    @property
    def copies(self) -> str:
        """``overlay``, ``reflink`` or ``copy``."""
        return Way.OVERLAY if self._way is Way.BUBBLEWRAP_OVERLAY else self._way

    async def start(
        self, works: Callable[[Tree], Awaitable[str | None]], *, bubblewrap: bool
    ) -> None:
        """Find out which way works.

        Parameters
        ----------
        bubblewrap
            Whether all that see trees are started by bubblewrap.
        works
            Uses a tree of two files, ``kept`` and ``old``, as it will be, and says what is wrong
            with it, if anything.
        """
        for way in self._ways[:-1]:
            # Where this is root, checks are somebody else, whose tree bubblewrap cannot make.
            if way is Way.BUBBLEWRAP_OVERLAY and (not bubblewrap or os.geteuid() == 0):
                continue
            problem = await self._try(way, works)
            if problem is None:
                self._way = way
                logger.info("each variation gets its files by %s", self.copies)
                return
            logger.debug("no tree by %s: %s", way, problem)

    async def _try(self, way: Way, works: Callable[[Tree], Awaitable[str | None]]) -> str | None:
        place = self._work.make(f"probe_{secrets.token_hex(8)}")
        try:
            base = place / "base"
            base.mkdir()
            for name, text in _PROBE.items():
                (base / name).write_text(text)
            sandbox = place / "sandbox"
            sandbox.mkdir()
            tree = await self._made(way, base, sandbox / "repo", place / "layer")
            if problem := await works(tree):
                return problem
            same = {path.name: path.read_text() for path in base.iterdir()} == _PROBE
        except (BackendError, OSError) as error:
            return str(error)
        else:
            return None if same else "what it was made from has changed"
        finally:
            self._work.remove(place)

    async def make(self, base: Path, path: Path, layer: Path) -> Tree:
        """Make a tree.

        Parameters
        ----------
        base
            The files that it begins with; they are never changed.
        path
            Where it is to be.
        layer
            A directory to be made for what changes, if the tree has one.

        Raises
        ------
        BackendError, OSError
            If it cannot be made.
        """
        return await self._made(self._way, base, path, layer)

    async def _made(self, way: Way, base: Path, path: Path, layer: Path) -> Tree:
        if way in (Way.OVERLAY, Way.BUBBLEWRAP_OVERLAY):
            path.mkdir()
            for name in ("upper", "work"):
                (layer / name).mkdir(parents=True)
            # What others may do with the tree's root is what they may do with the commit's.
            (layer / "upper").chmod(base.stat().st_mode & 0o777)
            return OverlayTree(path, base, layer, way is Way.BUBBLEWRAP_OVERLAY)
        await _copied(base, path, reflink=way is Way.REFLINK)
        return Tree(path)


async def _copied(base: Path, path: Path, *, reflink: bool) -> None:
    try:
        copy = await run(
            "cp", "-a", *(("--reflink=always",) if reflink else ()), "--", str(base), str(path),
            environment=plain_environment(), seconds=COPY_SECONDS,
        )  # fmt: skip
    except TimeoutError:
        raise BackendError(
            ErrorCode.SANDBOX_FAILED,
            f"The repository could not be copied within {COPY_SECONDS:.0f} s.",
        ) from None
    if copy.code != 0:
        full = "No space left" in copy.said
        raise BackendError(
            ErrorCode.DISK_FULL if full else ErrorCode.SANDBOX_FAILED,
            f"The repository could not be copied: {copy.said}",
        )
