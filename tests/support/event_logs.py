"""An event log on a real database, without a gateway around it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aideator.protocol import Limits
from aideator_gateway.runs.log import EventLog
from aideator_gateway.runs.metrics import Metrics
from aideator_gateway.runs.store import Store
from tests.support.scripted_backend import REQUEST


@asynccontextmanager
async def opened_log(
    store: Store, *runs: str, metrics: Metrics | None = None, give_up_seconds: float = 60.0
) -> AsyncIterator[EventLog]:
    """Open a store and its log, with new runs of these ids."""
    log = EventLog(store, metrics or Metrics(), give_up_seconds=give_up_seconds)
    try:
        await store.open()
        for run_id in runs:
            await store.create_run(run_id, REQUEST, limits=Limits(), model="m", scripted=True)
        log.start()
        yield log
    finally:
        await log.aclose()
        await store.aclose()
