"""All connections of a server: how many stay, and who goes when there are too many."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from uvicorn.server import ServerState

from aideator_gateway.hosting.limits import ConnectionLimits

if TYPE_CHECKING:
    from aideator_gateway.hosting.connection import Connection

REFUSED_AT_ONCE = 16
"""Connections beyond the limit that are told so; more are closed without a word."""


class Connections(ServerState):
    """What the connections of one server share.

    Parameters
    ----------
    limits
        How many there may be, and how long each may take.
    overflow
        Answers requests on connections beyond the limit; without it, these are closed.
    cut
        Called with a word for why a connection was ended by this side.
    """

    def __init__(
        self,
        limits: ConnectionLimits,
        overflow: Callable[..., Any] | None,
        cut: Callable[[str], None],
    ) -> None:
        super().__init__()
        self.limits = limits
        self.cut = cut
        self._overflow = overflow
        self._open: set[Connection] = set()
        self._idle: dict[Connection, None] = {}

    def __len__(self) -> int:
        return len(self._open)

    def came(self, connection: "Connection") -> None:
        """Find a place for a new connection, if need be that of one that is idle."""
        self._open.add(connection)
        over = len(self._open) - self.limits.connections
        if over > 0 and not self.make_room():
            if over > REFUSED_AT_ONCE or self._overflow is None:
                connection.cut("refused")
                return
            connection.app = self._overflow
        self.is_idle(connection)

    def went(self, connection: "Connection") -> None:
        """Forget a connection."""
        self._open.discard(connection)
        self._idle.pop(connection, None)

    def make_room(self) -> bool:
        """Close the connection that has been idle for longest, and return whether there is one.

        Whoever means something sends a request at once, and is not the first to go.
        """
        for connection in self._idle:
            connection.cut("replaced")
            return True
        return False

    def is_idle(self, connection: "Connection") -> None:
        """Note that a connection has no request that is to be answered."""
        self._idle[connection] = None

    def is_busy(self, connection: "Connection") -> None:
        """Note that it has one."""
        self._idle.pop(connection, None)

    def look(self, now: float) -> None:
        """End connections whose clients take too long."""
        for connection in list(self._open):
            connection.look(now)

    def shutdown(self) -> None:
        """Close connections whose requests have been answered, and others when theirs are."""
        for connection in list(self._open):
            connection.shutdown()

    def abort(self) -> None:
        """End what is left."""
        for connection in list(self._open):
            connection.abort()
