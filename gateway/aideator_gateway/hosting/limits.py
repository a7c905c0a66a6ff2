"""What a server grants its clients: how many at once, and how long each may take."""

import resource
from dataclasses import dataclass, field

MOST_CONNECTIONS = 4096
"""What is taken at once where more open files are allowed than anybody needs."""

RESERVED_FILES = 256
"""Open files that are left to the database, to runs and to those who are refused."""


def room_for_connections() -> int:
    """Return how many connections the limit of open files leaves room for.

    Where that limit is small, two thirds of it are left to the rest of the process.
    """
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if files == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return max(1, min(MOST_CONNECTIONS, files - min(RESERVED_FILES, files * 2 // 3)))


@dataclass(frozen=True, kw_only=True)
class ConnectionLimits:
    """Limits of a server's connections.

    Attributes
    ----------
    connections
        How many are kept at once.
    keep_alive_seconds
        How long one may be silent before a request, the first one or another.
    header_seconds
        How long a request's head may take from its first byte on.
    body_seconds
        How long a request's body may take behind its head.
    send_seconds
        How long a client may take nothing of what waits for it.
    body_bytes
        Most bytes of a body that are read at all; an application may take fewer.
    """

    connections: int = field(default_factory=room_for_connections)
    keep_alive_seconds: float = 5
    header_seconds: float = 10
    body_seconds: float = 30
    send_seconds: float = 30
    body_bytes: int = 2 * 1024 * 1024
