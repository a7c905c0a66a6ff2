"""The HTTP API as an application: routes, errors and who may call."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from aideator_gateway.http.guard import Guard
from aideator_gateway.http.page import page_routes
from aideator_gateway.http.problems import HANDLERS
from aideator_gateway.http.routes import ROUTES, State
from aideator_gateway.settings import Settings


def create_app(
    settings: Settings, opened: Callable[[], AbstractAsyncContextManager[State]]
) -> Starlette:
    """Return the gateway as an ASGI application.

    Parameters
    ----------
    settings
        Who may call.
    opened
        Opens what requests are answered from, for as long as the application is served.
    """
    middleware = [Middleware(Guard, settings=settings)]
    if settings.allow_origin:
        middleware.append(
            Middleware(
                CORSMiddleware,
                allow_origins=list(settings.allow_origin),
                allow_methods=["GET", "POST", "DELETE"],
                allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID"],
                expose_headers=["Location"],
            )
        )
    return Starlette(
        routes=[*ROUTES, *page_routes()],
        lifespan=lambda _: opened(),
        exception_handlers=HANDLERS,
        middleware=middleware,
    )
