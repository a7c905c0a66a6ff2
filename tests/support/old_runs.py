"""Runs that ended long ago, written straight into a store."""

import asyncio
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aideator.protocol import Limits, Status
from aideator_gateway.runs.model import NewRun
from aideator_gateway.runs.packing import pack
from aideator_gateway.runs.store import Store
from aideator_gateway.runs.stored import Change
from tests.support.event_logs import END, said

REQUEST = NewRun(github_url="https://github.com/user/repo", prompt="Do it.", variations=1)


async def add_ended(store: Store, run_id: str, *, days_ago: float, size: int = 1000) -> None:
    """Write a run that has ended in every respect; ``size`` is of what its agent said."""
    await store.create_run(
        run_id, REQUEST, limits=Limits(), model="m", scripted=True, key=f"key of {run_id}"
    )
    ended = Change(run_id, None, {"status": Status.COMPLETED, "ended_at": _ago(days_ago)})
    completed = Change(run_id, 1, {"status": Status.COMPLETED})
    records = [(1, said("x" * size)), (None, END)]
    await store.append([pack(run_id, 0, records)], [ended, completed])


def make_old(database: Path, run_ids: Iterable[str], *, days_ago: float) -> None:
    """Let runs that are there have ended some days ago."""
    moment = _ago(days_ago).replace(tzinfo=None).isoformat(" ", "microseconds")
    with closing(sqlite3.connect(database, timeout=30)) as connection, connection:
        connection.executemany(
            "UPDATE run SET ended_at = ?, created_at = ? WHERE run_id = ?",
            [(moment, moment, run_id) for run_id in run_ids],
        )


def with_ended(database: Path, days_ago: dict[str, float], size: int = 1000) -> None:
    """Make a database with such runs."""

    async def write() -> None:
        store = Store(database)
        try:
            await store.open()
            for run_id, days in days_ago.items():
                await add_ended(store, run_id, days_ago=days, size=size)
        finally:
            await store.aclose()

    asyncio.run(write())
    for run_id, days in days_ago.items():
        make_old(database, [run_id], days_ago=days)


def ids(database: Path) -> list[str]:
    """Return the runs that are there, the oldest first."""
    with closing(sqlite3.connect(database, timeout=30)) as connection:
        rows = connection.execute("SELECT run_id FROM run ORDER BY created_at").fetchall()
    return [run_id for (run_id,) in rows]


def _ago(days: float) -> datetime:
    return datetime.now(UTC) - timedelta(days=days)
