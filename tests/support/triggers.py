"""A database that refuses some writes, for as long as somebody wants."""

import sqlite3
from contextlib import closing
from pathlib import Path


class Refusing:
    """A trigger in a gateway's database, put there by another process's connection.

    Parameters
    ----------
    database
        The SQLite file.
    when
        Which new stretches of logs are refused, in SQL.
    """

    def __init__(self, database: Path, when: str) -> None:
        self._database = database
        self._do(
            f"CREATE TRIGGER refusing BEFORE INSERT ON segment WHEN {when} "
            "BEGIN SELECT RAISE(ABORT, 'refused on purpose'); END"
        )

    def over(self) -> None:
        """Let everything in again."""
        self._do("DROP TRIGGER refusing")

    def _do(self, statement: str) -> None:
        with closing(sqlite3.connect(self._database, timeout=30)) as connection, connection:
            connection.execute(statement)
