"""A server that takes requests and answers with given bytes, whatever they are."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"


class RawServer:
    """Answers each connection with the same pieces, and closes it.

    Attributes
    ----------
    heads
        What each request began with, up to the empty line.
    sent
        Bytes sent up to now.
    """

    def __init__(self, pieces: Iterable[bytes], context: ssl.SSLContext | None) -> None:
        self._pieces = pieces
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.heads: list[str] = []
        self.sent = 0

    def serve(self) -> None:
        """Answer until the listener is shut down."""
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if self._context is None:
                    self._answer(connection)
                else:
                    with self._context.wrap_socket(connection, server_side=True) as secure:
                        self._answer(secure)

    def close(self) -> None:
        """Stop taking connections."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _answer(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as request:
            lines = []
            while line := request.readline().strip():
                lines.append(line.decode().lower())
            self.heads.append("\n".join(lines))
            length = next(line for line in lines if line.startswith("content-length:"))
            request.read(int(length.partition(":")[2]))
            for piece in self._pieces:
                connection.sendall(piece)
                self.sent += len(piece)


@contextmanager
def answering(
    pieces: Iterable[bytes], context: ssl.SSLContext | None = None
) -> Iterator[RawServer]:
    """Serve on 127.0.0.1, in a thread."""
    server = RawServer(pieces, context)
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        yield server
    finally:
        server.close()
        thread.join()
