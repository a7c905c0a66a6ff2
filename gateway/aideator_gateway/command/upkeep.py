"""What is done to a database that may be in use: old runs removed, a backup, room given back."""

import os
import secrets
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from aideator_gateway.command.datadir import DATABASE
from aideator_gateway.command.gateways import living
from aideator_gateway.runs.problems import StartError
from aideator_gateway.runs.retention import Keep, Pruned, Retention
from aideator_gateway.runs.schema import check_database
from aideator_gateway.runs.storage import StorageError
from aideator_gateway.runs.store import OPEN_SECONDS, Store

STEP_PAGES = 512
"""Pages that are copied, or given back, at a time: 2 MiB."""

STEP_PAUSE = 0.005
"""Seconds between steps of a backup."""

WHOLE_BYTES = 1024**3
"""Most that is written anew in one go beside a gateway, whose writes wait for it."""

_INCREMENTAL = 2
"""SQLite's number for ``auto_vacuum = INCREMENTAL``."""


@dataclass(frozen=True)
class Compacted:
    """Bytes of the database file, before and after."""

    before: int
    after: int


def find_database(data_dir: Path) -> Path:
    """Return the database of a data directory.

    Raises
    ------
    StartError
        If there is none, or it is not ours to read.
    """
    path = data_dir / DATABASE
    if not path.exists():
        raise StartError(
            f"There is no database in {data_dir}: name the data directory with --data-dir."
        )
    check_database(path, OPEN_SECONDS)
    return path


async def prune(data_dir: Path, keep: Keep, *, dry_run: bool) -> Pruned:
    """Remove ended runs that are not to be kept; gateways may work on others meanwhile.

    Raises
    ------
    StartError
        If there is no database, or it cannot be read or written.
    """
    path = find_database(data_dir)
    store = Store(path)
    try:
        await store.open()
        return await Retention(store, keep).prune(dry_run=dry_run)
    except StorageError as error:
        raise StartError(f"{error.message} What was removed until then stays removed.") from None
    finally:
        await store.aclose()


def back_up(data_dir: Path, target: Path, *, force: bool) -> int:
    """Copy the database as it is at this moment, and return how many bytes that took.

    Gateways may write meanwhile: what they write from now on is not in it.

    Parameters
    ----------
    target
        A file that is made, readable by its owner alone.
    force
        Replace one that is there.

    Raises
    ------
    StartError
        If that is not possible; then the target is as it was.
    """
    path = find_database(data_dir)
    _check_target(path, target, force=force)
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        try:
            _copy(path, part)
            with part.open("rb") as file:
                os.fsync(file.fileno())
            size = part.stat().st_size
            # Who has made it meanwhile keeps it.
            _check_target(path, target, force=force)
            part.replace(target)
        finally:
            for left in (part, *(part.with_name(f"{part.name}{end}") for end in _BESIDE)):
                left.unlink(missing_ok=True)
    except (OSError, sqlite3.Error) as error:
        said = error.strerror if isinstance(error, OSError) else str(error)
        raise StartError(f"The backup {target} cannot be written ({said}).") from None
    return size


_BESIDE = ("-journal", "-wal", "-shm")


def _check_target(path: Path, target: Path, *, force: bool) -> None:
    if not target.exists():
        return
    if target.is_dir():
        raise StartError(f"{target} is a directory: name the file that the backup is to be.")
    if target.samefile(path):
        raise StartError(f"{target} is the database itself: name another file.")
    if not force:
        raise StartError(f"{target} is there already: name another file, or give --force.")


def _copy(path: Path, part: Path) -> None:
    with closing(_connected(path)) as source, closing(sqlite3.connect(part)) as copy:
        # One look at it for all steps: else each write of others would begin the copy anew.
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM sqlite_master").fetchone()
        source.backup(copy, pages=STEP_PAGES, sleep=STEP_PAUSE)
        source.execute("ROLLBACK")
        # One file without a log beside it; a gateway that opens it sets that up again.
        copy.execute("PRAGMA journal_mode = DELETE")
        found = copy.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise sqlite3.DatabaseError(f"the copy is damaged: {found}")


def compact(data_dir: Path) -> Compacted:
    """Give the room that deleted runs have left back to the file system.

    Of a database that was made for it, a few pages at a time beside whoever writes. Of an older
    one all is written anew, once, and writes wait for that.

    Raises
    ------
    StartError
        If that is not possible now; the database is well in any case.
    """
    path = find_database(data_dir)
    before = path.stat().st_size
    try:
        with closing(_connected(path)) as connection:
            if _pragma(connection, "auto_vacuum") == _INCREMENTAL:
                _give_back(connection)
            else:
                _write_anew(connection, path, data_dir)
            _shorten(connection)
    except sqlite3.Error as error:
        raise StartError(f"The database {path} could not be compacted ({error}).") from None
    return Compacted(before, path.stat().st_size)


def _give_back(connection: sqlite3.Connection) -> None:
    while _pragma(connection, "freelist_count"):
        began = time.monotonic()
        # As a script: Python's cursor ends a statement without columns after its first page.
        connection.executescript(f"PRAGMA incremental_vacuum({STEP_PAGES})")
        time.sleep(time.monotonic() - began)


def _write_anew(connection: sqlite3.Connection, path: Path, data_dir: Path) -> None:
    size = path.stat().st_size
    if size > WHOLE_BYTES and living(data_dir):
        raise StartError(
            f"The database has {size} bytes and comes from an earlier version: the first time it "
            "is written anew in one go, for which runs would have to wait too long. Stop the "
            "gateways on it, and try again."
        )
    connection.execute(f"PRAGMA auto_vacuum = {_INCREMENTAL}")
    connection.execute("VACUUM")


def _shorten(connection: sqlite3.Connection) -> None:
    """Bring what is in the log into the file, which then has its new length."""
    deadline = time.monotonic() + OPEN_SECONDS
    while time.monotonic() < deadline:
        busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if not busy:
            return
        time.sleep(0.05)


def _connected(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=OPEN_SECONDS, isolation_level=None)


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])
