"""What keeps the database from being read or written, told as an error with a code."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    ProgrammingError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from aideator.protocol import ErrorCode
from aideator_gateway.runs.backend import BackendError, from_os_error

_OF_THE_DATA = (DataError, InterfaceError, ProgrammingError)


class StorageError(BackendError):
    """The database refused.

    Parameters
    ----------
    code, message
        As a run that ends because of it says them.
    passing
        The same may work later: the lock is let go, there is room again.
    """

    def __init__(self, code: ErrorCode, message: str, *, passing: bool = True) -> None:
        super().__init__(code, message)
        self.passing = passing

    @classmethod
    def of(cls, error: Exception) -> "StorageError":
        """Return what an error from a write or a read means."""
        match error:
            case StorageError():
                return error
            case OSError():
                found = from_os_error(error)
                return cls(found.code, found.message)
            case PoolTimeoutError():
                return cls(ErrorCode.STORAGE_FAILED, "The gateway's database is busy.")
            case IntegrityError():
                return cls(ErrorCode.STORAGE_FAILED, f"The database refused it: {error.orig}.")
            case DBAPIError() if not isinstance(error, _OF_THE_DATA):
                return cls(*_from_sqlite(error.orig))
            case _:
                said = f"It cannot be stored: {type(error).__name__}: {error}"
                return cls(ErrorCode.STORAGE_FAILED, said, passing=False)


@contextmanager
def storage_errors() -> Iterator[None]:
    """Raise what the database refuses as a ``StorageError``."""
    try:
        yield
    except (SQLAlchemyError, OSError) as error:
        raise StorageError.of(error) from error


def is_locked(error: DBAPIError) -> bool:
    """Whether somebody else is writing, and all that is needed is patience."""
    return _primary(error.orig) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _from_sqlite(error: BaseException | None) -> tuple[ErrorCode, str]:
    if _primary(error) == sqlite3.SQLITE_FULL:
        return ErrorCode.DISK_FULL, f"No space is left for the gateway's database ({error})."
    return ErrorCode.STORAGE_FAILED, f"The gateway's database cannot be used: {error}."


def _primary(error: BaseException | None) -> int | None:
    """Return SQLite's primary result code; an extended one has more in its upper bytes."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF
