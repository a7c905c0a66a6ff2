"""Somebody else holds the database's lock in the middle of a run: it waits, and loses nothing."""

import contextlib
import json
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from aideator_gateway.scripted_model.script import Reply, Text
from tests.support.forked import run, serving
from tests.support.locks import locked
from tests.support.readers import Reader
from tests.support.talking import failed_commits, ready, talking_gateway, wait


def hold_through_a_run(tmp_path: Path, repository: Path, seconds: float, kind: str) -> None:
    """Lock the database in the middle of a run, for as long and until it was noticed."""
    with talking_gateway(tmp_path / "data", words=100) as gateway:
        run_id = gateway.create(github_url=repository.as_uri(), variations=2)
        with Reader(gateway, run_id) as reader:
            reader.wait_for(30)
            with locked(tmp_path / "data" / "aideator.db", kind):
                released = time.monotonic() + seconds
                wait(lambda: failed_commits(gateway) > 0)
                answer = gateway.http.get("/readyz")
                assert answer.status_code == 503
                assert answer.json()["ready"] is False
                assert "locked" in answer.json()["reason"]
                assert gateway.http.get(f"/runs/{run_id}").json()["status"] == "running"
                wait(lambda: time.monotonic() > released, seconds + 60)
            wait(lambda: ready(gateway))
        found = gateway.run(run_id)
        assert found["status"] == "completed"
        assert [v["status"] for v in found["variations"]] == ["completed"] * 2
        assert [name for _, name, _ in reader.events].count("completion") == 2
        assert reader.events[-1][1] == "end"
        stored = [event.id for event in gateway.stream(run_id)]
        assert [id_ for id_, _, _ in reader.events] == stored
        later = gateway.create(github_url=repository.as_uri(), variations=1)
        assert gateway.finish(later)["status"] == "completed"


def test_a_run_goes_on_when_the_lock_is_let_go(shared_repository: Path, tmp_path: Path) -> None:
    hold_through_a_run(tmp_path, shared_repository, 0, "IMMEDIATE")


@pytest.mark.soak
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["IMMEDIATE", "EXCLUSIVE"])
@pytest.mark.parametrize("seconds", [15, 40])
def test_a_run_goes_on_after_a_long_lock(
    shared_repository: Path, tmp_path: Path, seconds: float, kind: str
) -> None:
    hold_through_a_run(tmp_path, shared_repository, seconds, kind)


def test_ends_wait_for_the_lock_and_cancelling_says_so(
    shared_repository: Path, tmp_path: Path
) -> None:
    with talking_gateway(tmp_path / "data") as gateway:
        run_id = gateway.create(github_url=shared_repository.as_uri(), variations=2)
        with Reader(gateway, run_id) as reader:
            reader.wait_for(30)
            with locked(tmp_path / "data" / "aideator.db"):
                answer = gateway.http.post(f"/runs/{run_id}/cancel", json={})
                assert (answer.status_code, answer.json()["code"]) == (503, "storage_unavailable")
                assert "told to stop" in answer.json()["detail"]
                refused = gateway.http.post(
                    "/runs", json={"github_url": shared_repository.as_uri(), "prompt": "x"}
                )
                assert (refused.status_code, refused.json()["code"]) == (503, "storage_unavailable")
            reader.wait_ended()
        assert reader.events[-1][1:] == ("end", {"status": "cancelled"})
        cancelled = gateway.http.post(f"/runs/{run_id}/cancel", json={}).json()
        assert [v["status"] for v in cancelled["variations"]] == ["cancelled"] * 2


def test_stopping_does_not_wait_for_the_lock_for_ever(
    shared_repository: Path, tmp_path: Path
) -> None:
    with talking_gateway(tmp_path / "data") as gateway:
        run_id = gateway.create(github_url=shared_repository.as_uri(), variations=2)
        with Reader(gateway, run_id) as reader:
            reader.wait_for(30)
            with locked(tmp_path / "data" / "aideator.db"):
                gateway.stop()
        assert "Traceback" not in gateway.log.read_text()
        # The stream was closed as a stream is, and says nothing that is not on disk.
        assert reader.broken is None
        assert "end" not in [name for _, name, _ in reader.events]
    with serving(tmp_path / "data", "--demo", "--backend", "local") as gateway:
        assert gateway.run(run_id)["status"] == "interrupted"
        whole = [event.id for event in gateway.stream(run_id)]
        assert whole[: len(reader.events)] == [id_ for id_, _, _ in reader.events]


def test_a_gateway_starts_beside_a_lock_and_ends_what_a_dead_one_left_later(
    shared_repository: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    with talking_gateway(data) as gateway:
        run_id = gateway.create(github_url=shared_repository.as_uri(), variations=1)
        with Reader(gateway, run_id) as reader:
            reader.wait_for(10)
            gateway.stop(signal.SIGKILL)
    with contextlib.ExitStack() as held:
        held.enter_context(locked(data / "aideator.db"))
        # Who only reads is told what there is.
        listed = run("list", "--json", "--data-dir", str(data), cwd=tmp_path)
        assert [found["status"] for found in json.loads(listed.stdout)] == ["running"]
        with serving(data, "--demo", "--backend", "local") as gateway:
            assert gateway.run(run_id)["status"] == "running"
            held.close()
            wait(lambda: gateway.run(run_id)["status"] == "interrupted")
            assert [event.event for event in gateway.stream(run_id)][-2:] == ["error", "end"]
        said = gateway.log.read_text()
        assert "is not put in order yet: The gateway's database cannot be used" in said
        assert "Traceback" not in said


def test_a_reader_of_a_log_that_cannot_be_read_is_cut_off_and_comes_back(
    shared_repository: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    # More than is kept in memory, so that who begins at its start reads the database.
    long: Reply = [Text(["long" * 50_000] * 8), Text("word " * 100, pace=0.05)]
    with talking_gateway(data, replies=[long]) as gateway:
        run_id = gateway.create(github_url=shared_repository.as_uri(), variations=1)
        with Reader(gateway, run_id) as reader:
            reader.wait_for(20)
            path = data / "aideator.db"
            with closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as database:
                database.execute("ALTER TABLE segment RENAME TO hidden")
                with Reader(gateway, run_id) as late:
                    late.wait_ended()
                assert late.broken is not None
                database.execute("ALTER TABLE hidden RENAME TO segment")
            reader.wait_ended()
        assert f"a reader of {run_id} is cut off: " in gateway.log.read_text()
        assert "Traceback" not in gateway.log.read_text()
        rest = gateway.stream(run_id, reader.events[5][0])
        assert [event.id for event in rest] == [id_ for id_, _, _ in reader.events[6:]]
        assert reader.events[-1][1:] == ("end", {"status": "completed"})
