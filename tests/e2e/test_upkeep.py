"""Old runs removed, backups made and room given back, at rest and beside work."""

import json
import os
import re
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tests.support.forked import error_of, run, serving
from tests.support.old_runs import ids, make_old, with_ended
from tests.support.readers import Reader
from tests.support.talking import failed_commits, talking_gateway, wait

OLD = {f"run_{number:016x}": float(100 - number) for number in range(10)}
MIB = 1024 * 1024


def prune(data: Path, *flags: str) -> str:
    return run("prune", "--data-dir", str(data), *flags, cwd=data.parent).stdout.decode()


def test_runs_are_removed_by_age_the_oldest_first(tmp_path: Path) -> None:
    with_ended(tmp_path / "aideator.db", OLD)
    assert prune(tmp_path, "--keep-days", "95.5", "--dry-run").startswith("Would remove 5 runs")
    assert ids(tmp_path / "aideator.db") == list(OLD)
    assert prune(tmp_path, "--keep-days", "95.5").startswith("Removed 5 runs")
    assert ids(tmp_path / "aideator.db") == list(OLD)[5:]
    assert prune(tmp_path, "--keep-days", "95.5").startswith("Removed 0 runs")


def test_runs_are_removed_until_the_database_is_small_enough(tmp_path: Path) -> None:
    with_ended(tmp_path / "aideator.db", OLD, MIB)
    # Each is twice in it: as clients see it, and in the transcript.
    assert prune(tmp_path, "--keep-bytes", str(11 * MIB), "--dry-run").startswith("Would remove 5")
    said = prune(tmp_path, "--keep-bytes", str(11 * MIB))
    assert said.startswith("Removed 5 runs")
    assert int(said.split("; ")[1].split()[0]) <= 11 * MIB
    assert ids(tmp_path / "aideator.db") == list(OLD)[5:]


def test_what_cannot_be_pruned_is_one_line(tmp_path: Path) -> None:
    assert "Say what is kept" in error_of("prune", "--data-dir", ".", cwd=tmp_path, expect=2)
    for words in (("prune", "--keep-days", "1"), ("backup", "x.db"), ("compact",)):
        assert "no database" in error_of(*words, "--data-dir", str(tmp_path), cwd=tmp_path)


def test_readers_of_a_run_that_was_removed_are_told_so(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    with_ended(data / "aideator.db", OLD)
    gone = next(iter(OLD))
    with serving(data, "--demo", "--backend", "local", "--allow-file") as gateway:
        with Reader(gateway, gone) as reader:
            pass
        assert prune(data, "--keep-days", "95.5").startswith("Removed 5 runs")
        # A place in the list is still one.
        page = gateway.http.get("/runs", params={"cursor": gone})
        assert (page.status_code, page.json()["runs"]) == (200, [])
        for method, path in (
            ("GET", ""), ("GET", "/stream"), ("GET", "/variations/1/patch"),
            ("GET", "/variations/1/transcript"), ("POST", "/cancel"), ("DELETE", ""),
        ):  # fmt: skip
            headers = {"Last-Event-ID": reader.events[0][0]} if path == "/stream" else {}
            answer = gateway.http.request(method, f"/runs/{gone}{path}", headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (410, "run_deleted")
            assert "was removed on " in answer.json()["detail"]
        key = {"Idempotency-Key": f"key of {gone}"}
        body = {"github_url": "https://github.com/user/repo", "prompt": "Do it."}
        again = gateway.http.post("/runs", json=body, headers=key)
        assert (again.status_code, again.json()["code"]) == (410, "run_deleted")


def test_a_gateway_that_serves_removes_runs_by_itself(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    with_ended(data / "aideator.db", OLD)
    with serving(data, "--demo", "--backend", "local", "--keep-days", "95.5") as gateway:
        wait(lambda: ids(data / "aideator.db") == list(OLD)[5:])
        wait(lambda: "5 runs were removed to keep 95.5 days" in gateway.log.read_text())
        assert gateway.http.get(f"/runs/{next(iter(OLD))}").status_code == 410


@contextmanager
def beside_work(data: Path, repository: Path) -> Iterator[str]:
    """Have a run go on during the block and behind it, and check that nothing of it was lost."""
    with talking_gateway(data) as gateway:
        run_id = gateway.create(github_url=repository.as_uri(), variations=2)
        with Reader(gateway, run_id) as reader:
            reader.wait_for(5)
            yield run_id
            reader.wait_for(len(reader.events) + 5)
            gateway.http.post(f"/runs/{run_id}/cancel", json={})
        assert reader.events[-1][1] == "end"
        assert failed_commits(gateway) == 0
        figures = gateway.http.get("/metrics").text
        delays = re.search(r"^aideator_token_delay_seconds_count (\S+)", figures, re.MULTILINE)
        assert delays
        assert float(delays[1]) >= 5
        assert re.search(r"^aideator_database_bytes [1-9]", figures, re.MULTILINE)
        places = [int(place) for place, _, _ in reader.events]
        assert places == list(range(1, len(places) + 1))
        # Only now may it be removed.
        left = ids(data / "aideator.db")
        assert run_id in left
        assert prune(data, "--keep-bytes", "0").startswith(f"Removed {len(left)} run")
        assert ids(data / "aideator.db") == []


def room_is_given_back(data: Path, left: int) -> None:
    """Compact a database that is mostly room, and check that it is whole."""
    database = data / "aideator.db"
    assert database.stat().st_size > 30 * MIB
    run("compact", "--data-dir", str(data), cwd=data.parent)
    assert database.stat().st_size < 8 * MIB
    with closing(sqlite3.connect(database, timeout=30)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)
    assert len(ids(database)) == left


def test_all_upkeep_is_in_the_way_of_no_run(shared_repository: Path, tmp_path: Path) -> None:
    data, target = tmp_path / "data", tmp_path / "copy.db"
    data.mkdir()
    with_ended(data / "aideator.db", OLD, 2 * MIB)
    os.umask(0o022)
    with beside_work(data, shared_repository) as run_id:
        done = run("backup", str(target), "--data-dir", str(data), cwd=tmp_path)
        assert f"Wrote {target}: {target.stat().st_size} bytes." in done.stdout.decode()
        # However old it is, one that goes on is never removed.
        make_old(data / "aideator.db", [run_id], days_ago=900)
        assert prune(data, "--keep-days", "1", "--keep-bytes", "0").startswith("Removed 10 runs")
        room_is_given_back(data, left=1)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir() if "copy" in path.name) == ["copy.db"]
    with closing(sqlite3.connect(target)) as copy:
        assert copy.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert copy.execute("SELECT count(*) FROM run").fetchone() == (len(OLD) + 1,)
    # It is a database to go on with, whose run was interrupted.
    other = tmp_path / "other"
    other.mkdir()
    target.rename(other / "aideator.db")
    found = json.loads(run("list", "--json", "--data-dir", str(other), cwd=tmp_path).stdout)
    assert sorted(one["status"] for one in found) == ["completed"] * len(OLD) + ["interrupted"]


def test_a_backup_replaces_nothing_unless_it_may(tmp_path: Path) -> None:
    data, target = tmp_path / "data", tmp_path / "copy.db"
    data.mkdir()
    with_ended(data / "aideator.db", OLD)
    target.write_text("precious")
    words = ("backup", str(target), "--data-dir", str(data))
    assert "is there already" in error_of(*words, cwd=tmp_path)
    assert target.read_text() == "precious"
    run(*words, "--force", cwd=tmp_path)
    assert ids(target) == list(OLD)
    itself = ("backup", str(data / "aideator.db"), "--data-dir", str(data), "--force")
    assert "the database itself" in error_of(*itself, cwd=tmp_path)
    missing = ("backup", str(tmp_path / "none" / "x.db"), "--data-dir", str(data))
    assert "No such file or directory" in error_of(*missing, cwd=tmp_path)
    assert ids(data / "aideator.db") == list(OLD)


def test_room_is_given_back_beside_work_where_none_ever_was(
    shared_repository: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    database = data / "aideator.db"
    with_ended(database, OLD, 2 * MIB)
    # As an older version made it.
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("PRAGMA auto_vacuum = NONE")
        connection.execute("VACUUM")
    prune(data, "--keep-bytes", str(5 * MIB))
    with beside_work(data, shared_repository):
        room_is_given_back(data, left=2)
