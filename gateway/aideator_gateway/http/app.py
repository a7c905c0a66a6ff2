"""The HTTP API as an application: routes, errors and who may call."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.types import ASGIApp

from aideator_gateway.http.client_page import page_routes
from aideator_gateway.http.guard import Guard
from aideator_gateway.http.pages import Pages
from aideator_gateway.http.problems import HANDLERS
from aideator_gateway.http.routes import ROUTES, State
from aideator_gateway.settings import Settings


def create_app(
    settings: Settings, opened: Callable[[], AbstractAsyncContextManager[State]]
) -> ASGIApp:
    """Return the gateway as an ASGI application.

    Parameters
    ----------
    settings
        Who may call.
    opened
        Opens what requests are answered from, for as long as the application is served.
    """
    app = Starlette(
        routes=[*ROUTES, *page_routes()],
        lifespan=lambda _: opened(),
        exception_handlers=HANDLERS,
        middleware=[Middleware(Guard, settings=settings)],
    )
    return Pages(app, settings.allow_origin) if settings.allow_origin else app
