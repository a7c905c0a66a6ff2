"""Takes connections from a listening socket, few at a time, also where descriptors run out."""

import asyncio
import logging
import socket
from collections.abc import Callable

logger = logging.getLogger(__name__)

AT_ONCE = 16
"""Most connections that are taken before those that are there have their turn."""

PAUSE_SECONDS = 0.5
"""How long none is taken after that has failed."""

SAY_SECONDS = 60.0
"""How often it is said in the log."""


class Acceptor:
    """Accepts connections until it is closed.

    asyncio's own server takes as many at once as can wait, and where it fails says so as many
    times, each with a traceback.

    Parameters
    ----------
    listener
        Listens, and does not block.
    protocol
        Makes the protocol of one connection.
    make_room
        Called where there are no descriptors left, to give one back if that is possible.
    """

    def __init__(
        self,
        listener: socket.socket,
        protocol: Callable[[], asyncio.Protocol],
        make_room: Callable[[], object],
    ) -> None:
        self._listener = listener
        self._protocol = protocol
        self._make_room = make_room
        self._loop = asyncio.get_running_loop()
        self._connecting: set[asyncio.Task[None]] = set()
        self._pause: asyncio.TimerHandle | None = None
        self._said_at: float | None = None
        self._resume()

    def close(self) -> None:
        """Take no more; what has been taken stays.

        The listener is closed, too: who calls now is refused, and does not wait for an answer
        that will not come.
        """
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._listener)
        self._listener.close()

    def _resume(self) -> None:
        self._pause = None
        self._loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        for _ in range(AT_ONCE):
            try:
                connection, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._failed(error)
                return
            task = self._loop.create_task(self._connect(connection))
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)

    def _failed(self, error: OSError) -> None:
        now = self._loop.time()
        if self._said_at is None or now - self._said_at > SAY_SECONDS:
            self._said_at = now
            logger.error(
                "no connection can be taken for now (%s): silent ones are closed to make room; see "
                "the limit of open files (ulimit -n) and --max-connections",
                error.strerror or error,
            )
        for _ in range(AT_ONCE):
            self._make_room()
        self._loop.remove_reader(self._listener)
        self._pause = self._loop.call_later(PAUSE_SECONDS, self._resume)

    async def _connect(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._protocol, connection)
        except OSError:
            connection.close()
