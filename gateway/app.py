"""The application: the only place that picks implementations and joins them."""

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from gateway.backends.base import Backend
from gateway.backends.choose import choose_backend
from gateway.datadir import DATABASE, prepare, sole_owner
from gateway.demo.server import ScriptedModel
from gateway.demo.standin import MODEL, DemoPlayer
from gateway.errors import HANDLERS
from gateway.guard import Guard
from gateway.log import EventLog
from gateway.metrics import Metrics
from gateway.routes import ROUTES, State
from gateway.runs import Runs
from gateway.settings import Settings
from gateway.store import Store

logger = logging.getLogger(__name__)


def create_app(
    settings: Settings, *, store: Store | None = None, backend: Backend | None = None
) -> Starlette:
    """Return the gateway as an ASGI application.

    Parameters
    ----------
    settings
        What it is told from outside.
    store, backend
        Implementations to use in place of the ones the settings name.
    """

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[Mapping[str, Any]]:
        del app
        async with AsyncExitStack() as stack:
            prepare(settings.data_dir)
            stack.enter_context(sole_owner(settings.data_dir))
            told = await _with_model(settings, stack)
            opened = store or Store(settings.data_dir / DATABASE)
            stack.push_async_callback(opened.aclose)
            await opened.open()
            log = EventLog(opened)
            log.start()
            stack.push_async_callback(log.aclose)
            place = backend or await choose_backend(told)
            await place.start()
            stack.push_async_callback(place.aclose)
            metrics = Metrics()
            runs = Runs(told, opened, log, place, metrics)
            await runs.recover()
            stack.push_async_callback(runs.aclose)
            logger.info("%s", (await place.readiness()).reason)
            yield State(runs=runs, store=opened, log=log, backend=place, metrics=metrics)

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
        routes=ROUTES, lifespan=lifespan, exception_handlers=HANDLERS, middleware=middleware
    )


async def _with_model(settings: Settings, stack: AsyncExitStack) -> Settings:
    """Start the scripted model if it was asked for, and point the settings at it."""
    if not settings.demo:
        return settings
    model = await stack.enter_async_context(
        ScriptedModel(DemoPlayer(settings.demo_tokens_per_second), record=False)
    )
    return settings.model_copy(
        update={"base_url": model.base_url, "model": MODEL, "api_key": None, "auth_token": None}
    )
