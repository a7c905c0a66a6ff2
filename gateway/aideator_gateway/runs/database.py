"""The SQLite file: its connections, who may write, and what a refusal means."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
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
        self._engine = _async_engine(path, READ_MILLISECONDS)
        self._page_engine = _engine(path, READ_MILLISECONDS)
        # SQLite has one writer at a time. Waiting here costs no connection, and is fair.
        self._write_engine = _async_engine(path, WRITE_MILLISECONDS)
        self._write_lock = asyncio.Lock()
        self._group_engine = _engine(path, WRITE_MILLISECONDS)
        # Its own: what readers make of the others keeps no log from being written.
        self._group_thread = ThreadPoolExecutor(1, "database writer")

    async def aclose(self) -> None:
        """Close all connections."""
        self._group_thread.shutdown(wait=False)
        self._group_engine.dispose()
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
        async with (
            self._alone(patience) as deadline,
            AsyncSession(self._write_engine, expire_on_commit=False) as session,
            session.begin(),
        ):
            connection = await session.connection()
            await _once_unlocked(lambda: connection.exec_driver_sql(_BEGIN), deadline)
            yield session

    async def write(self, work: Callable[[Connection], None], patience: float) -> None:
        """Have a thread do what writes in a transaction: one change of threads for all of it.

        Whoever is cancelled meanwhile waits until it is in, or was taken back.
        """
        async with self._alone(patience) as deadline:
            await _once_unlocked(lambda: self._write_in_thread(work), deadline)

    async def _write_in_thread(self, work: Callable[[Connection], None]) -> None:
        loop = asyncio.get_running_loop()
        writing = loop.run_in_executor(self._group_thread, self._write, work)
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            await asyncio.gather(writing, return_exceptions=True)
            raise

    def _write(self, work: Callable[[Connection], None]) -> None:
        with self._group_engine.begin() as connection:
            connection.exec_driver_sql(_BEGIN)
            work(connection)

    @asynccontextmanager
    async def _alone(self, patience: float) -> AsyncIterator[float]:
        """Wait until nobody else here writes, and give the time to wait for other processes."""
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
                yield deadline
        finally:
            self._write_lock.release()


_BEGIN = "BEGIN IMMEDIATE"
"""Become the one who writes; nothing that is done then can fail for a lock."""


async def _once_unlocked(act: Callable[[], Awaitable[object]], deadline: float) -> None:
    """Do something again and again while another process writes, until the deadline."""
    while True:
        try:
            await act()
        except OperationalError as error:
            if not is_locked(error) or time.monotonic() > deadline:
                raise
        else:
            return


def _engine(path: Path, busy_milliseconds: int) -> Engine:
    return _configured(create_engine(f"sqlite:///{path}"), busy_milliseconds)


def _async_engine(path: Path, busy_milliseconds: int) -> AsyncEngine:
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}")
    _configured(engine.sync_engine, busy_milliseconds)
    return engine


def _configured(engine: Engine, busy_milliseconds: int) -> Engine:
    def configure(connection: sqlite3.Connection, record: ConnectionPoolEntry) -> None:
        del record
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {busy_milliseconds}")
        # What readers were sent is on disk, also when the machine loses power.
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    event.listen(engine, "connect", configure)
    return engine
