"""Directories on their way out: nobody waits while thousands of files are removed."""

import asyncio
import logging
from pathlib import Path

from aideator_gateway.backends.children import Ended, plain_environment, run

logger = logging.getLogger(__name__)

REMOVE_SECONDS = 600.0

CLOSE_SECONDS = 3.0
"""How long the gateway's end waits for them; what is left then another gateway removes."""


class Removals:
    """Removes directories in the background, one after the other."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()

    def begin(self, directory: Path) -> None:
        """Remove a directory with all that is in it, and return at once."""
        task = asyncio.create_task(self._remove(directory), name=f"remove {directory}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _remove(self, directory: Path) -> None:
        # A program of its own, because a thread could not be stopped when the gateway ends.
        async with self._turn:
            try:
                ended = await _run("rm", "-rf", "--", str(directory))
                if ended.code != 0:
                    # A check may leave directories that not even their owner can write to.
                    await _run("chmod", "-R", "u+rwX", "--", str(directory))
                    ended = await _run("rm", "-rf", "--", str(directory))
            except OSError as error:
                logger.warning("%s was not removed: %r", directory, error)
            else:
                if ended.code != 0:
                    logger.warning("%s was not removed: %s", directory, ended.said)

    async def wait(self) -> None:
        """Wait until all are gone."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def aclose(self) -> None:
        """Wait until all are gone, but not for longer than ``CLOSE_SECONDS``."""
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks, timeout=CLOSE_SECONDS)
        for task in late:
            task.cancel()
        if late:
            logger.warning("%s directories are left to be removed later", len(late))
            await asyncio.wait(late)


async def _run(*argv: str) -> Ended:
    return await run(*argv, environment=plain_environment(), seconds=REMOVE_SECONDS)
