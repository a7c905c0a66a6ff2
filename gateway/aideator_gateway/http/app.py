"""The HTTP API as an application: routes, errors and who may call."""

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.types import ASGIApp

from aideator_gateway.http.guard import Guard
from aideator_gateway.http.handlers import State
from aideator_gateway.http.pages import Pages
from aideator_gateway.http.problems import HANDLERS
from aideator_gateway.http.routes import routes
from aideator_gateway.settings import Settings


def create_app(settings: Settings, state: State) -> ASGIApp:
    """Return the gateway as an ASGI application.

    Parameters
    ----------
    settings
        Who may call.
    state
        What requests are answered from, opened for as long as the application is served.
    """
    app = Starlette(
        routes=routes(),
        exception_handlers=HANDLERS,
        middleware=[Middleware(Guard, settings=settings)],
    )
    app.state.gateway = state
    return Pages(app, settings.allow_origin) if settings.allow_origin else app
