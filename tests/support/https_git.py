"""A Git server that speaks https on this machine's loopback, by git's own HTTP backend."""

import base64
import os
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import trustme


class GitServer:
    """A running server: what it was asked, and where it sends whom."""

    def __init__(self, port: int) -> None:
        self.host = f"127.0.0.1:{port}"
        self.asked: list[str] = []
        """Method and path of each request."""
        self.sent = 0
        """Bytes of all answers."""
        self.moved: dict[str, str] = {}
        """How a request starts (method, path), and what stands in its path's place instead."""

    @property
    def url(self) -> str:
        """Its address by number."""
        return f"https://{self.host}"

    def location(self, request: str) -> str | None:
        """Return where a request is redirected to, if it is."""
        for start, target in self.moved.items():
            if request.startswith(start):
                return target + request.removeprefix(start)
        return None


class _Handler(BaseHTTPRequestHandler):
    root: Path
    token: str | None
    git: GitServer

    def _answer(self) -> None:
        request = f"{self.command} {self.path}"
        self.git.asked.append(request)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if location := self.git.location(request):
            self._empty(302 if self.command == "GET" else 307, "Location", location)
        elif self.token and not self._authorized():
            self._empty(401, "WWW-Authenticate", 'Basic realm="git"')
        else:
            self._content(body)

    def _empty(self, status: int, name: str, value: str) -> None:
        self.send_response(status)
        self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _content(self, body: bytes) -> None:
        url = urlsplit(self.path)
        done = subprocess.run(
            ["git", "http-backend"],
            input=body,
            capture_output=True,
            check=False,
            env={
                "PATH": os.environ["PATH"],
                "GIT_PROJECT_ROOT": str(self.root),
                "GIT_HTTP_EXPORT_ALL": "1",
                "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": "safe.directory",
                "GIT_CONFIG_VALUE_0": "*",
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "REQUEST_METHOD": self.command,
                "PATH_INFO": url.path,
                "QUERY_STRING": url.query,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            },
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if line)
        self.send_response(int(fields.pop("Status", "200").split()[0]))
        for name, value in {**fields, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.git.sent += len(content)
        self.wfile.write(content)

    do_GET = do_POST = _answer  # noqa: N815  # The base class calls them so.

    def _authorized(self) -> bool:
        given = self.headers.get("Authorization", "").removeprefix("Basic ")
        return base64.b64decode(given).decode().endswith(f":{self.token}")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # The base's name.
        """Say nothing."""


class Certificate:
    """Files of a certificate for this machine's loopback, and of who signed it."""

    def __init__(self, directory: Path) -> None:
        authority = trustme.CA()
        issued = authority.issue_cert("127.0.0.1", "localhost")
        self.authority = directory / "authority.pem"
        self.chain = directory / "chain.pem"
        self.key = directory / "key.pem"
        authority.cert_pem.write_to_path(self.authority)
        issued.private_key_pem.write_to_path(self.key)
        for blob in issued.cert_chain_pems:
            blob.write_to_path(self.chain, append=True)


@contextmanager
def https_git(
    root: Path, certificate: Path, key: Path, token: str | None = None
) -> Iterator[GitServer]:
    """Serve the repositories in ``root``, to holders of ``token`` if there is one."""
    handler = type("Handler", (_Handler,), {"root": root, "token": token})
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        git = GitServer(server.server_address[1])
        handler.git = git  # type: ignore[attr-defined]  # Made two lines above.
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield git
        server.shutdown()
        thread.join()
