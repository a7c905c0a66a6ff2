"""The page at ``/``: built from ``gateway/page`` by ``make page``, served as files.

It needs no token, since it tells nothing; what it shows it asks the API for. All text of
models and repositories is foreign, so the page may run, load and reach nothing but its own
files and this API, whatever such text says.
"""

import gzip
import hashlib
import mimetypes
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from aideator_gateway.runs.problems import Problem

BUILT = Path(__file__).with_name("static")

PREFIX = "/page/"
"""Where everything is that the page loads."""

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; "
    # The page never makes HTML of a string, so no policy may.
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Vary": "Accept-Encoding",
}
_MISSING = (
    "AIdeator's API is here, its page is not: it has not been built.\n"
    "In a checkout, `make page` builds it; then start the server again.\n"
    "The API is described at /docs.\n"
)


@dataclass(frozen=True)
class _File:
    content: bytes
    packed: bytes
    media_type: str
    tag: str
    lasting: bool
    """Its name changes with its content."""

    def answer(self, request: Request) -> Response:
        headers = {
            **_HEADERS,
            "ETag": self.tag,
            "Cache-Control": "public, max-age=31536000, immutable" if self.lasting else "no-cache",
        }
        if self.tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        content = self.content
        if "gzip" in request.headers.get("accept-encoding", ""):
            content = self.packed
            headers["Content-Encoding"] = "gzip"
        return Response(content, media_type=self.media_type, headers=headers)


def page_routes(built: Path = BUILT) -> list[Route]:
    """Return the routes of the page, read once from the folder it was built into.

    Parameters
    ----------
    built
        Where ``index.html`` is; without it, ``/`` says how to get the page.
    """
    files = dict(_read(built))

    async def index(request: Request) -> Response:
        found = files.get("index.html")
        if found is None:
            return PlainTextResponse(_MISSING, 404, headers=_HEADERS)
        return found.answer(request)

    async def asset(request: Request) -> Response:
        found = files.get(request.path_params["name"])
        if found is None:
            raise Problem("not_found", f"There is nothing at {request.url.path}.")
        return found.answer(request)

    return [
        Route("/", index, methods=["GET"]),
        Route(f"{PREFIX}{{name:path}}", asset, methods=["GET"]),
    ]


def _read(built: Path) -> Iterator[tuple[str, _File]]:
    for path in sorted(built.rglob("*")):
        if not path.is_file():
            continue
        name = path.relative_to(built).as_posix()
        content = path.read_bytes()
        media_type, _ = mimetypes.guess_type(name)
        # Systems differ in what they call JavaScript; browsers run one of the names only.
        yield (
            name,
            _File(
                content=content,
                packed=gzip.compress(content, 9, mtime=0),
                media_type="text/javascript"
                if name.endswith(".js")
                else media_type or "application/octet-stream",
                tag=f'"{hashlib.sha256(content).hexdigest()[:24]}"',
                lasting=name.startswith("assets/"),
            ),
        )
