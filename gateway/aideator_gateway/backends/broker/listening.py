"""Where the broker listens: sockets that the gateway binds, and that outlive a broker."""

import os
import socket
import tempfile
from contextlib import suppress
from pathlib import Path

from aideator.protocol.broker import MAX_SOCKET_PATH_BYTES

_BACKLOG = 2048


def socket_path(directory: Path, owner: str) -> Path:
    """Return where a gateway's socket is: in the directory, or in a short one if need be.

    Parameters
    ----------
    directory
        Of this user alone.
    owner
        Id of the gateway; no two have the same.
    """
    path = directory / f"{owner}.sock"
    if _fits(path):
        return path
    # Nobody can guess the directory's name, and it is made for the user alone.
    short = [
        Path(parent, f"aideator-{owner}", "model.sock")
        for parent in (tempfile.gettempdir(), "/tmp")  # noqa: S108
    ]
    return short[0] if _fits(short[0]) else short[1]


def _fits(path: Path) -> bool:
    return len(os.fsencode(path)) < MAX_SOCKET_PATH_BYTES


def listen_on_path(path: Path) -> socket.socket:
    """Return a socket that listens at a path that ``socket_path`` gave, for the user alone.

    Raises
    ------
    OSError
        It cannot be made.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(os.fsencode(path))
        path.chmod(0o600)
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def listen_on_port() -> socket.socket:
    """Return a socket that listens on a free port of 127.0.0.1."""
    return socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG)


def remove_socket(directory: Path, owner: str) -> None:
    """Remove the socket of a gateway that ends, or has died; parameters as for its path."""
    path = socket_path(directory, owner)
    path.unlink(missing_ok=True)
    if path.parent != directory:
        with suppress(OSError):
            path.parent.rmdir()
