"""The SQLite file: its connections, who may write, and what a refusal means."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from aideator.protocol import ErrorCode
from aideator_gateway.runs.storage import StorageError, is_locked, storage_errors

PATIENCE_SECONDS = 10.0
"""How long a change waits while somebody else writes."""

READ_MILLISECONDS = 10_000
WRITE_MILLISECONDS = 250
"""How long SQLite itself waits for a lock. Writing, that is short, so that it can be stopped."""


class Database:
    """One file, read by many and written by one at a time.

    Parameters
    ----------
    path
        The SQLite file.
    """

    def __init__(self, path: Path) -> None:
        self._engine = _engine(path, READ_MILLISECONDS)
        self._page_engine = create_engine(f"sqlite:///{path}")
        _configure(self._page_engine, READ_MILLISECONDS)
        # SQLite has one writer at a time. Waiting here costs no connection, and is fair.
        self._write_engine = _engine(path, WRITE_MILLISECONDS)
        self._write_lock = asyncio.Lock()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._write_engine.dispose()
        await self._engine.dispose()
        self._page_engine.dispose()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """Give a session that reads."""
        with storage_errors():
            async with AsyncSession(self._engine, expire_on_commit=False) as session:
                yield session

    @contextmanager
    def reading_in_thread(self) -> Iterator[Connection]:
        """Give a connection that reads, to a thread of its own: one change of threads for all."""
        with storage_errors(), self._page_engine.connect() as connection:
            yield connection

    @asynccontextmanager
    async def transaction(self, patience: float = PATIENCE_SECONDS) -> AsyncIterator[AsyncSession]:
        """Give a session that may write, once nobody else does, and commit it."""
        deadline = time.monotonic() + patience
        try:
            async with asyncio.timeout(patience):
                await self._write_lock.acquire()
        except TimeoutError:
            raise StorageError(
                ErrorCode.STORAGE_FAILED, "The gateway's database is busy with other writes."
            ) from None
        try:
            with storage_errors():
                async with (
                    AsyncSession(self._write_engine, expire_on_commit=False) as session,
                    session.begin(),
                ):
                    await _begin(session, deadline)
                    yield session
        finally:
            self._write_lock.release()


def _engine(path: Path, busy_milliseconds: int) -> AsyncEngine:
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}")
    _configure(engine.sync_engine, busy_milliseconds)
    return engine


def _configure(engine: Engine, busy_milliseconds: int) -> None:
    def configure(connection: sqlite3.Connection, record: ConnectionPoolEntry) -> None:
        del record
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {busy_milliseconds}")
        # What readers were sent is on disk, also when the machine loses power.
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    event.listen(engine, "connect", configure)


async def _begin(session: AsyncSession, deadline: float) -> None:
    """Become the one who writes; nothing that is done then can fail for a lock."""
    connection = await session.connection()
    while True:
        try:
            await connection.exec_driver_sql("BEGIN IMMEDIATE")
        except OperationalError as error:
            if not is_locked(error) or time.monotonic() > deadline:
                raise
        else:
            return
