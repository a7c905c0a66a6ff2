"""The database file: told from other files before anything is written, made, brought up to date.

Whatever is not ours, or not ours to read, is refused with one line and stays as it is.
"""

import logging
import os
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote

from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlmodel import SQLModel

from aideator_gateway.runs import tables
from aideator_gateway.runs.old_log import pack_old_log
from aideator_gateway.runs.problems import StartError

logger = logging.getLogger(__name__)

SCHEMA = 7
"""Format of the database; a change of the tables that older files lack counts it up."""

_PACKED_SCHEMA = 5
"""Format since which logs are kept as clients are sent them."""

APPLICATION_ID = 0x41494465
"""What SQLite keeps in the file's header to tell whose it is: AIDe."""

_UNMARKED_SCHEMA = 2
_UNMARKED_TABLES = {"run", "variation", "event", "selection"}
"""The one format that is read and has no application id; its tables tell it."""

MIGRATIONS = {
    2: (
        "ALTER TABLE run ADD COLUMN owner VARCHAR",
        f"PRAGMA application_id = {APPLICATION_ID}",
    ),
    3: (),
    4: (),
    5: (
        # Formats 2 and 3 may have none.
        (
            "CREATE TABLE IF NOT EXISTS deleted_run (run_id VARCHAR NOT NULL, created_at DATETIME "
            "NOT NULL, deleted_at DATETIME NOT NULL, idempotency_key VARCHAR, PRIMARY KEY (run_id))"
        ),
        "ALTER TABLE deleted_run ADD COLUMN pruned BOOLEAN DEFAULT 0 NOT NULL",
    ),
    6: ("ALTER TABLE run ADD COLUMN copies VARCHAR",),
}
"""What leads from a format to the next; tables that are missing are made after it, and logs of
formats before 5, an event a row, are then packed (``old_log``)."""

_ELSE = "name another directory with --data-dir"


def check_database(path: Path, patience: float) -> None:
    """Refuse a file that is not ours to use; one that is missing is fine.

    Parameters
    ----------
    path
        The file.
    patience
        How long to wait for other programs' locks, in seconds.

    Raises
    ------
    StartError
        If the file is not ours, of a format that this version does not read, locked or cannot
        be read. It is as it was.
    """
    try:
        if path.is_dir():
            raise StartError(f"{path} is a directory and not a database: {_ELSE}.")
        if path.exists():
            _check(path, *_peek(path, patience))
    except OSError as error:
        raise StartError(_unusable(path, error.strerror)) from None
    except sqlite3.Error as error:
        raise StartError(_explained(path, error, patience)) from None


def open_database(path: Path, patience: float) -> None:
    """Make the file, or bring it up to date, in one transaction.

    Parameters
    ----------
    path
        The file; one that is missing is made, readable by its owner alone.
    patience
        How long to wait for other programs' locks, in seconds.

    Raises
    ------
    StartError
        As ``check_database``, and if the file cannot be written.
    """
    check_database(path, patience)
    try:
        # SQLite's own files beside it get the mode of this one.
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        _update(path, patience)
    except OSError as error:
        raise StartError(_unusable(path, error.strerror)) from None
    except sqlite3.Error as error:
        raise StartError(_explained(path, error, patience)) from None


def _peek(path: Path, patience: float) -> tuple[int, int, frozenset[str]]:
    """Return application id, format and names of the tables, and leave no trace."""
    wal = path.with_name(f"{path.name}-wal")
    # Only "immutable" makes no files beside it; but it does not see what is in a log.
    logged = wal.exists() and wal.stat().st_size > 0
    uri = f"file:{quote(str(path))}?mode=ro{'' if logged else '&immutable=1'}"
    with closing(sqlite3.connect(uri, uri=True, timeout=patience)) as connection:
        rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        found = frozenset(str(name) for (name,) in rows)
        return _pragma(connection, "application_id"), _pragma(connection, "user_version"), found


def _check(path: Path, application: int, version: int, found: frozenset[str]) -> None:
    """Refuse a file that is not ours, or of a format that is not read."""
    if application == APPLICATION_ID:
        ours = True
    elif application == 0 and version == 0:
        ours = not found  # nothing is in it
    else:
        ours = (application, version) == (0, _UNMARKED_SCHEMA) and found >= _UNMARKED_TABLES
    if not ours:
        raise StartError(
            f"{path} is a database of another program: {_ELSE}, or move that file away."
        )
    if version not in (0, *MIGRATIONS, SCHEMA):
        raise StartError(
            f"The database {path} has format {version}, this version reads {min(MIGRATIONS)} to "
            f"{SCHEMA}: use the version of AIdeator that made it, or {_ELSE}."
        )


def _update(path: Path, patience: float) -> None:
    with closing(sqlite3.connect(path, timeout=patience, isolation_level=None)) as connection:
        if _pragma(connection, "user_version") == SCHEMA:
            return
        if not _pragma(connection, "schema_version"):
            # Before anything is in the file: room can then be given back a little at a time.
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            # While there is no log beside it yet, so that the file itself always tells.
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        _use_log(connection, patience)
        connection.execute("BEGIN IMMEDIATE")
        # Only now no other gateway can be at it.
        version = _pragma(connection, "user_version")
        for before in range(version or SCHEMA, SCHEMA):
            for statement in MIGRATIONS[before]:
                connection.execute(statement)
        for statement in _tables():
            connection.execute(statement)
        if version and version < _PACKED_SCHEMA:
            logger.warning("the database %s is brought up to date: this may take minutes", path)
            pack_old_log(connection)
        connection.execute(f"PRAGMA user_version = {SCHEMA}")
        connection.execute("COMMIT")


def _use_log(connection: sqlite3.Connection, patience: float) -> None:
    """Let readers and a writer not wait for each other (WAL); the file keeps it."""
    deadline = time.monotonic() + patience
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            # Here SQLite does not wait by itself for another that does the same.
            if not _is_locked(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def _tables() -> list[str]:
    dialect = sqlite.dialect()
    assert tables.RunRow.metadata is SQLModel.metadata  # noqa: S101 - the rows are registered
    statements: list[CreateTable | CreateIndex] = []
    for table in SQLModel.metadata.sorted_tables:
        statements.append(CreateTable(table, if_not_exists=True))
        statements += [CreateIndex(index, if_not_exists=True) for index in table.indexes]
    return [str(statement.compile(dialect=dialect)) for statement in statements]


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _is_locked(error: sqlite3.Error) -> bool:
    return _code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _code(error: sqlite3.Error) -> int:
    """Return SQLite's primary code; the error of Python's own has none."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _explained(path: Path, error: sqlite3.Error, patience: float) -> str:
    match _code(error):
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return (
                f"The database {path} has been locked by another program for {patience:g} s: "
                f"end that program, or {_ELSE}."
            )
        case sqlite3.SQLITE_NOTADB:
            return f"{path} is not a database: {_ELSE}, or move that file away."
        case sqlite3.SQLITE_CORRUPT:
            return (
                f"The database {path} is damaged ({error}): put a backup in its place, or {_ELSE}."
            )
        case sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM:
            return _unusable(path, str(error))
    return f"The database {path} cannot be opened ({error}): {_ELSE}."


def _unusable(path: Path, said: str | None) -> str:
    return (
        f"The database {path} cannot be read and written ({said}): see whose it is and who may "
        f"change it, or {_ELSE}."
    )
