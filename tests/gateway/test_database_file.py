"""The database file: whose it is, is known before anything is written to it."""

import asyncio
import base64
import fcntl
import json
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import Connection

from aideator.protocol import Limits, Status
from aideator_gateway.runs.model import NewRun
from aideator_gateway.runs.packing import pack
from aideator_gateway.runs.problems import StartError
from aideator_gateway.runs.schema import APPLICATION_ID, SCHEMA, open_database
from aideator_gateway.runs.storage import StorageError
from aideator_gateway.runs.store import Store
from aideator_gateway.runs.stored import Spending
from tests.support.event_logs import opened_log, said
from tests.support.forked import error_of, run
from tests.support.stored_logs import parsed, stored_lines

OWNER = "gw_0000000000000001"

FORMAT_2 = """
CREATE TABLE run (
    run_id VARCHAR NOT NULL, created_at DATETIME NOT NULL, ended_at DATETIME,
    status VARCHAR NOT NULL, github_url VARCHAR NOT NULL, ref VARCHAR, prompt VARCHAR NOT NULL,
    "commit" VARCHAR, backend VARCHAR, isolation VARCHAR, model VARCHAR NOT NULL,
    scripted BOOLEAN NOT NULL, limits JSON NOT NULL, "check" VARCHAR, idempotency_key VARCHAR,
    request_digest VARCHAR, code VARCHAR, message VARCHAR,
    PRIMARY KEY (run_id), UNIQUE (idempotency_key));
CREATE INDEX ix_run_created_at ON run (created_at);
CREATE INDEX ix_run_status ON run (status);
CREATE TABLE variation (
    run_id VARCHAR NOT NULL, variation_id INTEGER NOT NULL, status VARCHAR NOT NULL,
    condition JSON NOT NULL, stop_reason VARCHAR, code VARCHAR, message VARCHAR,
    summary VARCHAR, turns INTEGER NOT NULL, seconds FLOAT, usage JSON NOT NULL,
    patch_stat JSON, "check" JSON,
    PRIMARY KEY (run_id, variation_id),
    FOREIGN KEY(run_id) REFERENCES run (run_id) ON DELETE CASCADE);
CREATE TABLE event (
    run_id VARCHAR NOT NULL, position INTEGER NOT NULL, variation_id INTEGER,
    type VARCHAR NOT NULL, line VARCHAR NOT NULL,
    PRIMARY KEY (run_id, position),
    FOREIGN KEY(run_id) REFERENCES run (run_id) ON DELETE CASCADE);
CREATE TABLE selection (
    id INTEGER NOT NULL, run_id VARCHAR NOT NULL, variation_id INTEGER NOT NULL,
    reason VARCHAR, selected_at DATETIME NOT NULL,
    PRIMARY KEY (id), FOREIGN KEY(run_id) REFERENCES run (run_id) ON DELETE CASCADE);
CREATE INDEX ix_selection_run_id ON selection (run_id);
INSERT INTO run (run_id, created_at, status, github_url, prompt, model, scripted, limits)
    VALUES ('run_0000000000000001', '2026-01-01 00:00:00.000000', 'running',
            'https://github.com/user/repo', 'Do it.', 'a-model', 0, '{}');
INSERT INTO variation (run_id, variation_id, status, condition, turns, usage)
    VALUES ('run_0000000000000001', 1, 'running', '{}', 3, '{}');
INSERT INTO event VALUES ('run_0000000000000001', 1, 1, 'text', '{"seq": 1}');
INSERT INTO selection VALUES (1, 'run_0000000000000001', 1, 'why', '2026-01-01 00:00:00.000000');
PRAGMA user_version = 2;
"""

TO_FORMAT_3 = """
ALTER TABLE run ADD COLUMN owner VARCHAR;
UPDATE run SET owner = 'gw_0000000000000001';
CREATE TABLE deleted_run (
    run_id VARCHAR NOT NULL, created_at DATETIME NOT NULL, deleted_at DATETIME NOT NULL,
    idempotency_key VARCHAR, PRIMARY KEY (run_id));
CREATE INDEX ix_deleted_run_deleted_at ON deleted_run (deleted_at);
CREATE INDEX ix_deleted_run_idempotency_key ON deleted_run (idempotency_key);
INSERT INTO deleted_run
    VALUES ('run_gone', '2026-01-01 00:00:00.000000', '2026-01-02 00:00:00.000000', 'its key');
PRAGMA application_id = 1095320677;
PRAGMA user_version = 3;
"""

TO_FORMAT_4 = """
CREATE TABLE day_spending (
    day VARCHAR NOT NULL, usd FLOAT NOT NULL, unknown INTEGER NOT NULL, PRIMARY KEY (day));
INSERT INTO day_spending VALUES ('2026-01-01', 1.25, 2);
PRAGMA user_version = 4;
"""

TO_FORMAT_5 = """
DROP TABLE event;
CREATE TABLE segment (
    run_id VARCHAR NOT NULL, last INTEGER NOT NULL, first INTEGER NOT NULL, ends BOOLEAN NOT NULL,
    frames BLOB NOT NULL, PRIMARY KEY (run_id, last),
    FOREIGN KEY(run_id) REFERENCES run (run_id) ON DELETE CASCADE);
CREATE TABLE transcript (
    run_id VARCHAR NOT NULL, variation_id INTEGER NOT NULL, number INTEGER NOT NULL,
    patch_at INTEGER, lines BLOB NOT NULL, PRIMARY KEY (run_id, variation_id, number),
    FOREIGN KEY(run_id) REFERENCES run (run_id) ON DELETE CASCADE);
CREATE TABLE patch (
    run_id VARCHAR NOT NULL, variation_id INTEGER NOT NULL, number INTEGER NOT NULL,
    piece BLOB NOT NULL, PRIMARY KEY (run_id, variation_id, number),
    FOREIGN KEY(run_id) REFERENCES run (run_id) ON DELETE CASCADE);
INSERT INTO segment VALUES ('run_0000000000000001', 1, 1, 0, CAST('id: 1
: left out

' AS BLOB));
INSERT INTO transcript VALUES ('run_0000000000000001', 1, 1, NULL, CAST('{"seq": 1}
' AS BLOB));
PRAGMA user_version = 5;
"""

TO_FORMAT_6 = """
ALTER TABLE deleted_run ADD COLUMN pruned BOOLEAN DEFAULT 0 NOT NULL;
PRAGMA user_version = 6;
"""


def write(path: Path, script: str, *, wal: bool = False) -> None:
    with closing(sqlite3.connect(path)) as database:
        if wal:
            database.execute("PRAGMA journal_mode = WAL")
        database.executescript(script)


def foreign(path: Path) -> None:
    write(path, "CREATE TABLE run (name TEXT); INSERT INTO run VALUES ('mine');")


def foreign_in_wal_mode(path: Path) -> None:
    write(path, "CREATE TABLE invoice (id TEXT); PRAGMA user_version = 2;", wal=True)


def foreign_with_an_id(path: Path) -> None:
    write(path, f"{FORMAT_2} PRAGMA application_id = 252006674;")


def newer(path: Path) -> None:
    write(path, f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = 4711;")


def newer_with_a_log(path: Path) -> None:
    # What a program that was killed leaves: the number is in the log alone.
    program = (
        "import os, sqlite3, sys\n"
        "database = sqlite3.connect(sys.argv[1])\n"
        f"database.execute('PRAGMA application_id = {APPLICATION_ID}')\n"
        "database.execute('PRAGMA journal_mode = WAL')\n"
        "database.execute('PRAGMA user_version = 4711')\n"
        "os._exit(0)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(path)], check=True)
    assert path.with_name(f"{path.name}-wal").stat().st_size


def garbage(path: Path) -> None:
    path.write_bytes(b"SQLite is not what this is.\n" * 400)


def damaged(path: Path) -> None:
    write(path, FORMAT_2)
    path.write_bytes(path.read_bytes()[:100] + b"\xff" * 8000)


def directory(path: Path) -> None:
    path.mkdir()
    (path / "file").write_text("kept")


REFUSED = [
    (foreign, "is a database of another program"),
    (foreign_in_wal_mode, "is a database of another program"),
    (foreign_with_an_id, "is a database of another program"),
    (newer, "has format 4711"),
    (newer_with_a_log, "has format 4711"),
    (garbage, "is not a database"),
    (damaged, "is damaged"),
    (directory, "is a directory"),
]


def contents(path: Path) -> dict[str, bytes]:
    """Return every file below, but for the index that SQLite makes anew for each reader."""
    return {
        str(file.relative_to(path)): file.read_bytes()
        for file in sorted(path.rglob("*"))
        if file.is_file() and not file.name.endswith("-shm")
    }


@pytest.mark.parametrize(("make", "said"), REFUSED)
def test_what_is_not_ours_to_use_is_refused_and_stays_as_it_is(
    tmp_path: Path, make: Callable[[Path], None], said: str
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    make(data / "aideator.db")
    before = contents(data)
    for words in (("list",), ("serve", "--demo", "--port", "0", "--backend", "local")):
        told = error_of(*words, "--data-dir", str(data), cwd=tmp_path)
        assert said in told
        assert str(data / "aideator.db") in told
        assert "--data-dir" in told
        assert contents(data) == before


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    """Return a directory that every user can reach, which pytest's own are not."""
    with tempfile.TemporaryDirectory(prefix="aideator-test-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_a_database_that_may_not_be_read_is_refused(open_to_all: Path) -> None:
    path = open_to_all / "aideator.db"
    write(path, FORMAT_2)
    path.chmod(0)
    program = (
        "import os, pathlib, sys\n"
        "from aideator_gateway.runs.problems import StartError\n"
        "from aideator_gateway.runs.schema import open_database\n"
        # Root may read anything.
        "os.getuid() or os.setuid(65534)\n"
        "try:\n"
        "    open_database(pathlib.Path(sys.argv[1]), 0.1)\n"
        "except StartError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True
    )
    assert "cannot be read and written" in done.stdout


def test_a_database_that_stays_locked_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "aideator.db"
    write(path, FORMAT_2)
    before = path.read_bytes()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StartError, match=r"locked by another program for 0\.2 s"):
            asyncio.run(Store(path, patience=0.2).open())
    assert path.read_bytes() == before


@pytest.mark.parametrize("wal", [False, True])
def test_a_database_of_the_format_before_keeps_what_is_in_it(tmp_path: Path, wal: bool) -> None:
    path = tmp_path / "aideator.db"
    write(path, FORMAT_2, wal=wal)
    # Its run has no owner, and nobody holds the directory: it is interrupted, and all kept.
    out = run("show", "--json", "--data-dir", str(tmp_path), cwd=tmp_path).stdout.decode()
    assert '"prompt": "Do it."' in out
    assert '"turns": 3' in out
    assert '"winning_variation_id": 1' in out
    assert f'"status": "{Status.INTERRUPTED}"' in out
    open_database(tmp_path / "new.db", 1.0)
    with (
        closing(sqlite3.connect(path)) as old,
        closing(sqlite3.connect(tmp_path / "new.db")) as new,
    ):
        for table in ("run", "variation", "segment", "transcript", "patch", "selection"):
            columns = 'SELECT name, type, "notnull" FROM pragma_table_info(?) ORDER BY name'
            found = [database.execute(columns, (table,)).fetchall() for database in (old, new)]
            assert found[0] == found[1] != []
        for database in (old, new):
            assert database.execute("PRAGMA user_version").fetchone() == (SCHEMA,)
            assert database.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        lines = old.execute("SELECT lines FROM transcript ORDER BY number").fetchall()
        assert lines[0] == (b'{"seq": 1}\n',)


@pytest.mark.parametrize(
    ("version", "deleted", "spent"),
    [
        (2, False, None),
        (3, True, None),
        *((version, True, Spending(1.25, 2)) for version in (4, 5, 6)),
    ],
)
def test_each_format_keeps_what_is_in_it(
    tmp_path: Path, version: int, deleted: bool, spent: Spending | None
) -> None:
    path = tmp_path / "aideator.db"
    write(
        path, "".join((FORMAT_2, TO_FORMAT_3, TO_FORMAT_4, TO_FORMAT_5, TO_FORMAT_6)[: version - 1])
    )

    async def scenario() -> None:
        store = Store(path)
        try:
            await store.open()
            run_id = "run_0000000000000001"
            found = await store.run(run_id)
            assert found is not None
            assert (found.prompt, found.winning_variation_id) == ("Do it.", 1)
            assert (found.variations[0].turns, found.selections[0].reason) == (3, "why")
            assert await store.owner(run_id) == (OWNER if deleted else None)
            segment = await store.segment(run_id, 0)
            assert segment is not None
            assert segment.frames == b"id: 1\n: left out\n\n"
            lines = b"".join([part async for part in store.transcript(run_id, 1)])
            assert lines == b'{"seq": 1}\n'
            # A run that somebody deleted is none that retention removed.
            known = await store.known_key("its key")
            assert (known is not None and known.deleted) is deleted
            assert (await store.list_position("run_gone") is not None) is deleted
            assert await store.pruned_at("run_gone") is None
            assert await store.spending(date(2026, 1, 1)) == (spent or Spending(0.0, 0))
            assert await store.delete_run(run_id)
        finally:
            await store.aclose()

    asyncio.run(scenario())
    open_database(tmp_path / "new.db", 1.0)
    assert described(path) == described(tmp_path / "new.db")


def described(path: Path) -> dict[str, list[tuple[str, str, int]]]:
    """Return the tables of a database, and their columns."""
    columns = 'SELECT name, type, "notnull" FROM pragma_table_info(?) ORDER BY name'
    with closing(sqlite3.connect(path)) as database:
        tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return {name: database.execute(columns, (name,)).fetchall() for (name,) in tables}


def old_event(seq: int, **fields: object) -> str:
    envelope = {"aideator": 1, "run": "run_0000000000000001", "variation": 1, "attempt": 1}
    return json.dumps({**envelope, "seq": seq, "time": 1.0, **fields})


def test_a_log_of_a_row_an_event_is_read_as_one_of_today(tmp_path: Path) -> None:
    path = tmp_path / "aideator.db"
    write(path, FORMAT_2)
    diff = base64.b64encode(b"diff --git a b").decode()
    check = {"status": "passed", "command": "c", "exit_code": 0, "seconds": 1.0, "output": ""}
    later = [
        ("text", 1, old_event(2, type="text", turn=1, text="Hm.")),
        ("patch", 1, old_event(3, type="patch", diff=diff, bytes=14)),
        ("completed", 1, old_event(4, type="completed", stop_reason="end_turn", summary="S")),
        ("check", 1, json.dumps({**check, "passed": True, "time": 5.0})),
        ("end", None, '{"status": "completed"}'),
    ]
    with closing(sqlite3.connect(path)) as database, database:
        for position, (kind, variation, line) in enumerate(later, 2):
            database.execute(
                "INSERT INTO event VALUES ('run_0000000000000001', ?, ?, ?, ?)",
                (position, variation, kind, line),
            )

    async def scenario() -> None:
        store = Store(path)
        await store.open()
        run_id = "run_0000000000000001"
        first = await store.segment(run_id, 0)
        assert first is not None
        # What no client was shown has a place, and shows nothing.
        hidden, shown = first.frames.split(b"\n\n", 1)
        assert hidden == b"id: 1\n: left out"
        frames = parsed(shown)
        assert [(one.position, one.event) for one in frames] == [
            (2, "message"), (3, "message"), (4, "completion"), (5, "check"),
        ]  # fmt: skip
        assert frames[0].data["content"] == "Hm."
        assert frames[3].data["time"] == 5.0
        last = await store.last_segment(run_id)
        assert last is not None
        assert (last.ends, parsed(last.frames)[0].position) == (True, 6)
        assert b"".join([piece async for piece in store.patch(run_id, 1)]) == b"diff --git a b"
        lines = b"".join([part async for part in store.transcript(run_id, 1)]).splitlines()
        assert [json.loads(line)["seq"] for line in lines] == [1, 2, 3, 4]
        assert json.loads(lines[2])["diff"] == diff
        await store.aclose()
        with closing(sqlite3.connect(path)) as database:
            tables = database.execute("SELECT name FROM sqlite_master").fetchall()
            assert ("event",) not in tables

    asyncio.run(scenario())


def test_a_run_of_a_gateway_of_the_version_before_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "aideator.db"
    write(path, FORMAT_2, wal=True)
    with (tmp_path / "aideator.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        words = ("list", "--json", "--data-dir", str(tmp_path))
        assert b'"status": "running"' in run(*words, cwd=tmp_path).stdout
    assert b'"status": "interrupted"' in run(*words, cwd=tmp_path).stdout


def test_what_is_written_together_is_there_together_or_not_at_all(tmp_path: Path) -> None:
    async def scenario() -> None:
        store = Store(tmp_path / "aideator.db")
        try:
            await store.open()
            request = NewRun(github_url="https://github.com/user/repo", prompt="x", variations=1)
            await store.create_run("a", request, limits=Limits(), model="m", scripted=True)
            packed = pack("a", 0, [(1, said("first")), (1, said("second"))])
            with pytest.raises(StorageError):
                await store.append([packed, packed], [])
            assert await store.segment("a", 0) is None
            assert await stored_lines(store, "a", 1) == []
            await store.append([packed], [])
            assert await store.last_position("a") == 2
            assert await stored_lines(store, "a", 1) == ["first", "second"]
        finally:
            await store.aclose()

    asyncio.run(scenario())


def test_a_migration_that_fails_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "aideator.db"
    write(path, FORMAT_2)
    with closing(sqlite3.connect(path)) as database:
        # The column that is to be added is there, in a file that says it is older.
        database.execute("ALTER TABLE run ADD COLUMN owner VARCHAR")
        database.commit()
    with pytest.raises(StartError, match="cannot be opened"):
        open_database(path, 0.2)
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (2,)
        assert database.execute("PRAGMA application_id").fetchone() == (0,)


def test_a_database_is_made_once_by_many_at_the_same_time(tmp_path: Path) -> None:
    program = (
        "import pathlib, sys\n"
        "from aideator_gateway.runs.schema import open_database\n"
        "open_database(pathlib.Path(sys.argv[1]), 30.0)\n"
    )
    path = tmp_path / "aideator.db"
    started = [
        subprocess.Popen([sys.executable, "-c", program, str(path)], stderr=subprocess.PIPE)
        for _ in range(6)
    ]
    assert [(p.communicate(timeout=60)[1], p.returncode) for p in started] == [(b"", 0)] * 6
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_database_whose_making_was_cut_off_is_made_to_the_end(tmp_path: Path) -> None:
    path = tmp_path / "aideator.db"
    write(path, f"PRAGMA application_id = {APPLICATION_ID};", wal=True)
    open_database(path, 1.0)
    empty = tmp_path / "empty.db"
    empty.touch()
    open_database(empty, 1.0)


def test_a_write_that_is_cancelled_is_over_when_its_caller_is(tmp_path: Path) -> None:
    path = tmp_path / "aideator.db"
    begun, go_on = threading.Event(), threading.Event()

    def slow(connection: Connection) -> None:
        connection.exec_driver_sql("INSERT INTO day_spending VALUES ('2026-01-01', 1.0, 0)")
        begun.set()
        assert go_on.wait(30)

    async def scenario() -> None:
        store = Store(path)
        try:
            await store.open()
            writing = asyncio.create_task(store.write(slow, 10))
            await asyncio.to_thread(begun.wait, 30)
            writing.cancel()
            await asyncio.sleep(0.1)
            assert not writing.done()
            go_on.set()
            with pytest.raises(asyncio.CancelledError):
                await writing
            assert await store.spending(date(2026, 1, 1)) == Spending(1.0, 0)
            async with asyncio.timeout(30):
                await store.check()
        finally:
            go_on.set()
            await store.aclose()

    asyncio.run(scenario())


def test_a_log_is_written_while_readers_have_all_threads(tmp_path: Path) -> None:
    over = threading.Event()

    async def scenario() -> None:
        async with opened_log(Store(tmp_path / "x.db"), "a") as log:
            reading = [asyncio.create_task(asyncio.to_thread(over.wait, 60)) for _ in range(100)]
            try:
                await asyncio.sleep(0.1)
                async with asyncio.timeout(30):
                    await (await log.append("a", 1, said("first"), final=True))
            finally:
                over.set()
                await asyncio.gather(*reading)

    asyncio.run(scenario())
