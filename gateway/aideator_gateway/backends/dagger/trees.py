"""Commits' files that an engine has in a session: each is sent once, however many runs use it."""

import asyncio

from aideator_gateway.backends.commits.commits import Kept
from aideator_gateway.backends.dagger.query import Id
from aideator_gateway.backends.dagger.session import DaggerSession

_SEND = """query repository($path: String!) {
    host { directory(path: $path) { sync } }
}"""


class Trees:
    """The files that were sent in one session.

    Parameters
    ----------
    session
        Where they are sent.
    """

    def __init__(self, session: DaggerSession) -> None:
        self._session = session
        self._sent: dict[str, Id] = {}
        self._turns: dict[str, asyncio.Lock] = {}

    async def of(self, kept: Kept) -> Id:
        """Return the engine's name of a commit's files, which are sent if it does not have them.

        Raises
        ------
        QueryError, EngineLostError
            They could not be sent.
        """
        path = str(kept.tree)
        # Who comes while they are sent waits, and sends them if the first one was cancelled.
        async with self._turns.setdefault(path, asyncio.Lock()):
            if path not in self._sent:
                data = await self._session.query(_SEND, {"path": path})
                self._sent[path] = Id(data["host"]["directory"]["sync"])
            return self._sent[path]
