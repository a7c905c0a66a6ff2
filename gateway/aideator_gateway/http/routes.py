"""Routes, made from what the endpoints declare; and the pages for people beside them."""

from collections.abc import Iterable
from typing import Any

from starlette.requests import Request
from starlette.routing import BaseRoute, Route

from aideator_gateway.http.client_page import page_routes
from aideator_gateway.http.docs_page import docs_routes
from aideator_gateway.http.endpoint import Endpoint, Handler
from aideator_gateway.http.endpoints import ENDPOINTS
from aideator_gateway.http.guard import check_media_type, has_large_body


def routes() -> list[BaseRoute]:
    """Return the routes of the API, of its documentation and of the page."""
    return [*api_routes(ENDPOINTS), *docs_routes(), *page_routes()]


def api_routes(endpoints: Iterable[Endpoint]) -> list[Route]:
    """Return the routes of these endpoints."""
    by_path: dict[str, dict[str, Handler]] = {}
    for endpoint in endpoints:
        by_path.setdefault(endpoint.path, {})[endpoint.method] = endpoint.handler
    return [_route(path, handlers) for path, handlers in by_path.items()]


def _route(path: str, handlers: dict[str, Handler]) -> Route:
    """Return a path with its handler for each method; ``GET`` answers ``HEAD`` too.

    One route, not one a method: only so the answer to another method says all that are allowed.
    """

    async def handle(request: Request) -> Any:
        handler = handlers["GET" if request.method == "HEAD" else request.method]
        if request.method != "POST":
            return await handler(request)
        check_media_type(request.headers)
        if not has_large_body(request.headers):
            return await handler(request)
        async with request.app.state.gateway["large_bodies"]:
            return await handler(request)

    return Route(path, handle, methods=list(handlers))
