"""Stopping, dying and coming back: no process or directory stays, and nothing is lost."""

import json
import os
import signal
import time
from pathlib import Path

import pytest

from aideator_gateway.scripted_model.script import Hang
from aideator_gateway.scripted_model.server import Script, ScriptedModel
from tests.support.forked import serving
from tests.support.gateways import Gateway
from tests.support.processes import processes_of, wait_until_gone, wait_until_removed
from tests.support.repositories import make_repository
from tests.support.talking import talking_gateway


def start_and_wait_for_text(gateway: Gateway, repository: Path, variations: int = 3) -> str:
    run_id = gateway.create(github_url=repository.as_uri(), variations=variations)
    speaking = set()
    for event in gateway.stream(run_id):
        data = json.loads(event.data)
        if data.get("type") == "agent_output":
            speaking.add(data["variation_id"])
        if len(speaking) == variations:
            return run_id
    raise AssertionError("the run ended before all variations spoke")


def test_cancel_stops_within_two_seconds_and_keeps_the_patch(
    shared_repository: Path, tmp_path: Path
) -> None:
    with talking_gateway(tmp_path / "data") as gateway:
        run_id = start_and_wait_for_text(gateway, shared_repository)
        assert processes_of(gateway.data_dir)
        started = time.monotonic()
        cancelled = gateway.http.post(f"/runs/{run_id}/cancel", json={})
        assert time.monotonic() - started < 2.0
        run = cancelled.json()
        assert run["status"] == "cancelled"
        assert [v["status"] for v in run["variations"]] == ["cancelled"] * 3
        # Stopped agents hand over what they have, here an empty patch.
        assert [v["patch"]["files"] for v in run["variations"]] == [0] * 3
        assert wait_until_gone(gateway.data_dir, 1) == []
        assert wait_until_removed(gateway.data_dir) == []
        events = [(e.event, json.loads(e.data)) for e in gateway.stream(run_id)]
        assert [d["code"] for n, d in events if n == "error"] == ["cancelled"] * 3
        assert events[-1] == ("end", {"status": "cancelled"})
        again = gateway.http.post(f"/runs/{run_id}/cancel", json={})
        assert (again.status_code, again.json()["status"]) == (200, "cancelled")


def test_stopping_the_gateway_interrupts_its_runs(shared_repository: Path, tmp_path: Path) -> None:
    with talking_gateway(tmp_path / "data") as gateway:
        run_id = start_and_wait_for_text(gateway, shared_repository, variations=2)
        gateway.stop()
        assert gateway.process.returncode in (0, -signal.SIGTERM)
        assert wait_until_gone(gateway.data_dir, 2) == []
        assert wait_until_removed(tmp_path / "data") == []
    with serving(tmp_path / "data", "--demo", "--backend", "local") as gateway:
        run = gateway.run(run_id)
        assert run["status"] == "interrupted"
        assert {v["status"] for v in run["variations"]} == {"interrupted"}


def test_killing_the_gateway_loses_nothing_that_was_sent(
    shared_repository: Path, tmp_path: Path
) -> None:
    seen = []
    with talking_gateway(tmp_path / "data") as gateway:
        run_id = gateway.create(github_url=shared_repository.as_uri(), variations=2)
        for event in gateway.stream(run_id):
            seen.append((event.id, event.event, event.data))
            if len(seen) == 60:
                gateway.stop(signal.SIGKILL)
                break
        # The agents notice that nobody follows them any more.
        assert wait_until_gone(gateway.data_dir, 5) == []
    with serving(tmp_path / "data", "--demo", "--backend", "local") as gateway:
        whole = [(e.id, e.event, e.data) for e in gateway.stream(run_id)]
        assert whole[: len(seen)] == seen
        assert whole[-1][1:] == ("end", '{"status": "interrupted"}')
        assert [n for _, n, _ in whole].count("error") == 2
        assert wait_until_removed(tmp_path / "data") == []


def test_a_run_that_waits_for_its_turn_can_be_cancelled(
    shared_repository: Path, tmp_path: Path
) -> None:
    with (
        ScriptedModel(Script({}, default=[[Hang()]])) as model,
        serving(
            tmp_path / "data", "--backend", "local", "--allow-file", "--base-url", model.base_url,
            AIDEATOR_API_KEY="key", AIDEATOR_MAX_CONCURRENT_RUNS="1",
        ) as gateway,
    ):  # fmt: skip
        first = gateway.create(github_url=shared_repository.as_uri(), variations=1)
        second = gateway.create(github_url=shared_repository.as_uri(), variations=1)
        time.sleep(0.3)
        assert gateway.run(second)["status"] == "pending"
        assert gateway.http.post(f"/runs/{second}/cancel", json={}).json()["status"] == "cancelled"
        assert gateway.run(first)["status"] == "running"
        assert gateway.http.post(f"/runs/{first}/cancel", json={}).json()["status"] == "cancelled"


def test_only_one_gateway_uses_a_data_directory(tmp_path: Path) -> None:
    with (
        serving(tmp_path / "data", "--demo", "--backend", "local"),
        pytest.raises(AssertionError, match="Another gateway is using the data directory"),
        serving(tmp_path / "data", "--demo", "--backend", "local"),
    ):
        pass


def test_the_plain_process_is_used_and_named_without_bubblewrap(tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("git", "cp", "rm", "sh"):
        for directory in os.environ["PATH"].split(":"):
            if (Path(directory) / name).exists():
                (programs / name).symlink_to(Path(directory) / name)
                break
    repository = make_repository(tmp_path / "repository")
    flags = ("--demo", "--backend", "local", "--allow-file", "--demo-tokens-per-second", "500")
    with serving(tmp_path / "data", *flags, PATH=str(programs)) as gateway:
        ready = gateway.http.get("/readyz").json()
        assert ready["isolation"] == "process"
        assert "bubblewrap" in ready["reason"]
        run = gateway.finish(gateway.create(github_url=repository.as_uri(), variations=1))
        assert (run["status"], run["isolation"]) == ("completed", "process")
        assert wait_until_removed(gateway.data_dir) == []
        assert wait_until_gone(gateway.data_dir, 2) == []
