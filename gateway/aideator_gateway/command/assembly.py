"""The parts of a gateway: the only place that picks implementations and joins them."""

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from aideator_gateway.backends.broker.host import BrokerHost
from aideator_gateway.backends.choose import choose_backend
from aideator_gateway.backends.commits.commits import Commits
from aideator_gateway.backends.traces import tracing
from aideator_gateway.backends.workdir import WorkDirectory
from aideator_gateway.command.datadir import (
    COMMITS,
    DATABASE,
    EXPERIMENTS,
    GATEWAYS,
    MAKING,
    WORK,
)
from aideator_gateway.command.gateways import Gateways
from aideator_gateway.demo.standin import MODEL, DemoPlayer
from aideator_gateway.experiments.judging import Judgings
from aideator_gateway.experiments.reports import Reports
from aideator_gateway.http.downloads import Downloads
from aideator_gateway.http.guard import LARGE_BODIES
from aideator_gateway.http.handlers import State
from aideator_gateway.runs.dependencies import Dependencies
from aideator_gateway.runs.life import Runs
from aideator_gateway.runs.log import EventLog
from aideator_gateway.runs.metrics import Metrics
from aideator_gateway.runs.retention import Keep, Retention
from aideator_gateway.runs.spending import DaySpending
from aideator_gateway.runs.storage import StorageError
from aideator_gateway.runs.store import Store
from aideator_gateway.scripted_model.server import ScriptedModel
from aideator_gateway.settings import Settings
from aideator_gateway.waiting import beside

logger = logging.getLogger(__name__)

RECOVERY_SECONDS = 5.0
"""How often to look whether another gateway has died."""


@asynccontextmanager
async def open_gateway(settings: Settings, gateways: Gateways) -> AsyncIterator[State]:
    """Open what requests are answered from, and close it, in the right order.

    Parameters
    ----------
    settings
        What it is started with; the data directory is prepared.
    gateways
        The gateways on the data directory, which this one has joined.
    """
    async with AsyncExitStack() as stack:
        chosen = await _with_model(settings, stack)
        store = Store(settings.data_dir / DATABASE)
        stack.push_async_callback(store.aclose)
        await store.open()
        metrics = Metrics()
        metrics.database_bytes.set_function(lambda: _bytes_of(settings.data_dir / DATABASE))
        log = EventLog(store, metrics, gateways.me)
        log.start()
        stack.push_async_callback(log.aclose)
        work = WorkDirectory(settings.data_dir / WORK, gateways.me)
        stack.push_async_callback(work.aclose)
        making = WorkDirectory(settings.data_dir / COMMITS / MAKING, gateways.me)
        stack.push_async_callback(making.aclose)
        commits = Commits(settings.data_dir / COMMITS, chosen, making, metrics)
        commits.start()
        broker = BrokerHost(chosen, settings.data_dir / GATEWAYS, gateways.me)
        broker.refused = lambda cause, count: metrics.requests_refused.labels(cause).inc(count)
        spending = await _day_spending(chosen, store, broker, stack)
        backend = await choose_backend(chosen, work, broker, commits)
        stack.push_async_callback(backend.aclose)
        await backend.start()
        tracer = stack.enter_context(tracing(os.environ))
        runs = Runs(Dependencies(chosen, store, log, backend, metrics, spending, tracer), gateways)
        await _tried(runs.recover)
        stack.push_async_callback(runs.aclose)
        await stack.enter_async_context(_recovering(runs, (work, making), commits, gateways))
        if gateways.serves:
            keep = Keep(settings.keep_days, settings.keep_bytes)

            def removed(run_id: str) -> None:
                log.deleted(run_id)
                metrics.runs_pruned.inc()

            await stack.enter_async_context(Retention(store, keep, removed).going_on())
        logger.info("%s", (await backend.readiness()).reason)
        yield State(
            runs=runs,
            store=store,
            log=log,
            backend=backend,
            metrics=metrics,
            downloads=Downloads(settings.max_downloads, metrics),
            reports=Reports(settings.data_dir / EXPERIMENTS, store.winners),
            judgings=Judgings(settings.data_dir / EXPERIMENTS, runs.patch),
            large_bodies=asyncio.Semaphore(LARGE_BODIES),
        )


async def _day_spending(
    settings: Settings, store: Store, broker: BrokerHost, stack: AsyncExitStack
) -> DaySpending | None:
    """Count what the broker says that answers cost, where a day's cost has a cap."""
    if settings.max_day_cost_usd is None or settings.scripted:
        return None
    spending = DaySpending(store, settings.max_day_cost_usd, broker.set_day_left)
    broker.count = spending.add
    await spending.start()
    # The last answers come while the backend is closed.
    stack.push_async_callback(spending.aclose)
    return spending


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


async def _tried(put_in_order: Callable[[], Awaitable[None]]) -> None:
    """Put in order what another gateway left; what cannot be now is to be tried again."""
    try:
        await put_in_order()
    except (OSError, StorageError) as error:
        # Such as a lock on the database, or that no descriptor is free.
        logger.warning("what another gateway left is not put in order yet: %s", error)
    except Exception:
        logger.exception("what another gateway left could not be put in order")


@asynccontextmanager
async def _recovering(
    runs: Runs, directories: Iterable[WorkDirectory], commits: Commits, gateways: Gateways
) -> AsyncIterator[None]:
    """Go on with it while the block runs: a gateway may die beside a long-lived one."""

    async def clear() -> None:
        for directory in directories:
            await directory.clear(gateways.alive)
        commits.trim_again()

    async def go_on() -> None:
        while True:
            await _tried(clear)
            await asyncio.sleep(RECOVERY_SECONDS)
            await _tried(runs.recover)

    async with beside(go_on(), "recovery"):
        yield


def _bytes_of(database: Path) -> int:
    """Return what the database's files hold together, the log of writes included."""
    total = 0
    for name in (database.name, f"{database.name}-wal"):
        with contextlib.suppress(OSError):
            total += database.with_name(name).stat().st_size
    return total
