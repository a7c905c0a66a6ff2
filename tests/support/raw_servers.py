"""A server that answers every connection with bytes of the test's own."""

import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n"
    # Else a client may send its next request there, just before it is closed.
    b"connection: close\r\n\r\n"
)
END = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    """Return one chunk of a chunked body."""
    return b"%x\r\n%s\r\n" % (len(data), data)


class RawServer:
    """Sends what ``pieces`` holds at the time, to each request once it is whole.

    A number among the pieces is a pause in seconds; after the last one the connection is
    closed.
    """

    def __init__(self) -> None:
        self.pieces: Sequence[bytes | float] = ()
        self.requests: list[bytes] = []
        self.left = threading.Event()
        """Set once a client closes before all was sent."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def base_url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        """Listen no more."""
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            self.requests.append(_request(connection))
            for piece in self.pieces:
                if isinstance(piece, bytes):
                    try:
                        connection.sendall(piece)
                    except OSError:
                        self.left.set()
                        return
                    continue
                connection.settimeout(piece)
                with suppress(TimeoutError):
                    if not connection.recv(1):
                        self.left.set()
                        return
                connection.settimeout(None)


def _request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        data += _more(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length:")
    )
    while len(body) < length:
        body += _more(connection)
    return head + b"\r\n\r\n" + body


def _more(connection: socket.socket) -> bytes:
    if part := connection.recv(65536):
        return part
    raise ConnectionError("it was closed in the middle of a request")


@contextmanager
def raw_server() -> Iterator[RawServer]:
    """Serve until the end of the block."""
    server = RawServer()
    try:
        yield server
    finally:
        server.close()


def wait_for(done: threading.Event, seconds: float = 30) -> float:
    """Wait for an event, and return how long it took in seconds."""
    before = time.monotonic()
    assert done.wait(seconds)
    return time.monotonic() - before
