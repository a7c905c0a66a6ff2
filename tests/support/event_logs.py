"""An event log on a real database, without a gateway around it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aideator.protocol import Limits
from aideator_gateway.runs.log import EventLog
from aideator_gateway.runs.metrics import Metrics
from aideator_gateway.runs.store import Store
from aideator_gateway.runs.stored import Record
from tests.support.scripted_backend import REQUEST

END = Record(b'event: end\ndata: {"status": "completed"}\n\n', ends=True)
"""What ends a log."""


def said(text: str) -> Record:
    """Return what a log takes of a variation that says something."""
    data = json.dumps({"content": text})
    line = json.dumps(text)
    return Record(f"event: message\ndata: {data}\n\n".encode(), line.encode())


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
