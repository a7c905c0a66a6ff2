"""The parts of a gateway: the only place that picks implementations and joins them."""

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from aideator_gateway.backends.choose import choose_backend
from aideator_gateway.command.datadir import DATABASE, prepare, sole_owner
from aideator_gateway.demo.standin import MODEL, DemoPlayer
from aideator_gateway.http.routes import State
from aideator_gateway.runs.life import Runs
from aideator_gateway.runs.log import EventLog
from aideator_gateway.runs.metrics import Metrics
from aideator_gateway.runs.store import Store
from aideator_gateway.scripted_model.server import ScriptedModel
from aideator_gateway.settings import Settings

logger = logging.getLogger(__name__)


@asynccontextmanager
async def open_gateway(settings: Settings) -> AsyncIterator[State]:
    """Open what requests are answered from, and close it, in the right order."""
    async with AsyncExitStack() as stack:
        prepare(settings.data_dir)
        stack.enter_context(sole_owner(settings.data_dir))
        told = await _with_model(settings, stack)
        opened = Store(settings.data_dir / DATABASE)
        stack.push_async_callback(opened.aclose)
        await opened.open()
        metrics = Metrics()
        log = EventLog(opened, metrics)
        log.start()
        stack.push_async_callback(log.aclose)
        place = await choose_backend(told)
        await place.start()
        stack.push_async_callback(place.aclose)
        runs = Runs(told, opened, log, place, metrics)
        await runs.recover()
        stack.push_async_callback(runs.aclose)
        logger.info("%s", (await place.readiness()).reason)
        yield State(runs=runs, store=opened, log=log, backend=place, metrics=metrics)


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
