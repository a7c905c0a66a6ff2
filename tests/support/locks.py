"""Another process that writes to a gateway's database, and does not let go."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
connection.execute(f"BEGIN {sys.argv[2]}")
print("locked", flush=True)
sys.stdin.read()
connection.execute("ROLLBACK")
"""


@contextmanager
def locked(database: Path, kind: str = "IMMEDIATE") -> Iterator[None]:
    """Hold the database's write lock in a process of its own until the block ends."""
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(database), kind],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin and process.stdout
        assert process.stdout.readline() == "locked\n"
        try:
            yield
        finally:
            process.stdin.close()
            process.wait(30)
