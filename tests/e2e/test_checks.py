"""A check of a run on the local backend: when it runs, on what, and where its result is seen."""

import json
import re
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from aideator_gateway.scripted_model.player import Request
from aideator_gateway.scripted_model.script import Hang, HttpError, Reply, Text, ToolUse
from aideator_gateway.scripted_model.server import Script, ScriptedModel
from tests.support.checks import DEMO, check_of, need_bubblewrap
from tests.support.forked import run, serving
from tests.support.gateways import Gateway
from tests.support.processes import wait_until_gone, wait_until_removed
from tests.support.programs import path_without

SECONDS = 60.0
WAITING = "echo begun; while [ ! -e ../home/go ]; do sleep 0.1; done; echo went on"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with serving(tmp_path_factory.mktemp("gateway") / "data", *DEMO) as gateway:
        need_bubblewrap(gateway)
        yield gateway


@pytest.fixture
def own_gateway(tmp_path: Path) -> Iterator[Gateway]:
    """Return one that does not serve other tests."""
    with serving(tmp_path / "data", *DEMO) as gateway:
        need_bubblewrap(gateway)
        yield gateway


class ByPrompt:
    """A player of scripts, one for each prompt."""

    def __init__(self, **scripts: Script) -> None:
        self._scripts = scripts

    def reply(self, request: Request) -> Reply:
        """Return the next reply of the script whose name is in the prompt."""
        said = str(request.messages[0]["content"])
        return next(s for name, s in self._scripts.items() if name in said).reply(request)


@pytest.fixture(scope="module")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Return a gateway whose agents do what their prompt names."""
    edit = {"command": "create", "path": "made.txt", "file_text": "made\n"}
    tool = ToolUse("str_replace_based_edit_tool", edit)
    done: list[Reply] = [[Text("Nothing to do.")]]
    player = ByPrompt(
        FirstEnds=Script({1: done, 2: [[Text("Hm."), Hang()]]}),
        FirstEdits=Script({1: [[tool], [Text("Done.")]]}, default=done),
        Refused=Script({}, default=[[HttpError(400, "invalid_request_error", "no")]]),
    )
    with (
        ScriptedModel(player) as model,
        serving(
            tmp_path_factory.mktemp("scripted") / "data", "--backend", "local", "--allow-file",
            "--base-url", model.base_url, AIDEATOR_API_KEY="key",
        ) as gateway,
    ):  # fmt: skip
        need_bubblewrap(gateway)
        yield gateway


def wait_for(path: Path) -> Path:
    deadline = time.monotonic() + SECONDS
    while not path.exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.05)
    return path


def start_waiting(gateway: Gateway, repository: Path) -> tuple[str, Path]:
    """Start a run whose check waits, and return its home once it does: there it waits for go."""
    run_id = gateway.create(
        github_url=repository.as_uri(), variations=1, check=f"touch ../home/at-work; {WAITING}"
    )
    home = gateway.data_dir / "work" / run_id / "check1" / "home"
    wait_for(home / "at-work")
    return run_id, home


def test_a_result_can_be_picked_before_its_check_is_through_and_the_run_ends_after_it(
    gateway: Gateway, shared_repository: Path
) -> None:
    run_id, home = start_waiting(gateway, shared_repository)
    run = gateway.run(run_id)
    variation = run["variations"][0]
    assert (run["status"], variation["status"], variation["check"]) == (
        "running", "completed", None
    )  # fmt: skip
    chosen = gateway.http.post(f"/runs/{run_id}/select", json={"winning_variation_id": 1})
    assert chosen.status_code == 200
    before = gateway.http.get(f"/runs/{run_id}/variations/1/patch").content
    (home / "go").touch()
    run = gateway.finish(run_id)
    check = check_of(run)
    assert (check["exit_code"], check["passed"], check["output"]) == (0, True, "begun\nwent on\n")
    assert check["seconds"] > 0
    assert run["status"] == "completed"
    assert gateway.http.get(f"/runs/{run_id}/variations/1/patch").content == before
    assert wait_until_removed(gateway.data_dir) == []


def test_readers_of_the_stream_get_each_check_behind_its_variation(
    gateway: Gateway, shared_repository: Path
) -> None:
    run_id, home = start_waiting(gateway, shared_repository)
    seen: list[str] = []
    for event in gateway.stream(run_id):
        seen.append(event.event)
        if event.event == "completion":
            (home / "go").touch()
        if event.event == "check":
            data = json.loads(event.data)
            # Known at once, and not only when the run has ended.
            check = check_of(gateway.run(run_id))
            assert {**check, "variation_id": 1, "time": data["time"]} == data
    assert seen[-3:] == ["completion", "check", "end"]
    assert (check["status"], check["output"]) == ("passed", "begun\nwent on\n")
    # What the gateway found out is not what the agent said.
    lines = gateway.http.get(f"/runs/{run_id}/variations/1/transcript").text.splitlines()
    assert [json.loads(line)["type"] for line in lines][-1] == "completed"


def test_an_attempt_that_was_cancelled_has_a_check_that_was(
    scripted: Gateway, shared_repository: Path
) -> None:
    url = shared_repository.as_uri()
    run_id = scripted.create(github_url=url, prompt="FirstEnds", variations=2, check="true")
    names = []
    for event in scripted.stream(run_id):
        names.append(event.event)
        if event.event == "check" and names.count("check") == 1:
            scripted.http.post(f"/runs/{run_id}/cancel", json={})
    run = scripted.run(run_id)
    assert [v["status"] for v in run["variations"]] == ["completed", "cancelled"]
    assert [v["check"]["status"] for v in run["variations"]] == ["passed", "cancelled"]
    assert check_of(run, 2)["output"] == "There is no result: the run was cancelled."
    assert names.count("check") == 2
    assert names[-1] == "end"


def test_each_result_is_checked_by_itself(scripted: Gateway, shared_repository: Path) -> None:
    run = scripted.finish(
        scripted.create(
            github_url=shared_repository.as_uri(), prompt="FirstEdits", variations=2,
            check="ls -A ..; cat made.txt",
        )
    )  # fmt: skip
    first, second = check_of(run, 1), check_of(run, 2)
    assert (first["exit_code"], first["output"]) == (0, "home\nrepo\ntmp\nmade\n")
    assert (second["exit_code"], second["passed"]) == (1, False)
    assert "No such file" in second["output"]


def test_what_a_failed_attempt_left_is_checked_too(
    scripted: Gateway, shared_repository: Path
) -> None:
    url = shared_repository.as_uri()
    run = scripted.finish(
        scripted.create(github_url=url, prompt="Refused", variations=1, check="exit 3")
    )
    assert run["variations"][0]["status"] == "failed"
    assert check_of(run)["exit_code"] == 3


def test_cancelling_stops_a_check_and_says_so(gateway: Gateway, shared_repository: Path) -> None:
    run_id, _ = start_waiting(gateway, shared_repository)
    started = time.monotonic()
    run = gateway.http.post(f"/runs/{run_id}/cancel", json={}).json()
    assert time.monotonic() - started < 6.0
    # Its variations had completed, so the run has.
    assert run["status"] == "completed"
    check = check_of(run)
    assert (check["exit_code"], check["passed"]) == (None, False)
    assert check["status"] == "cancelled"
    assert check["output"] == "begun\nIt was stopped: the run was cancelled."
    assert wait_until_gone(gateway.data_dir, 10) == []


def test_the_end_of_the_gateway_stops_a_check_and_says_so(
    own_gateway: Gateway, shared_repository: Path
) -> None:
    run_id, _ = start_waiting(own_gateway, shared_repository)
    own_gateway.stop()
    assert wait_until_gone(own_gateway.data_dir, 10) == []
    with serving(own_gateway.data_dir, *DEMO) as again:
        found = again.run(run_id)
    assert found["variations"][0]["status"] == "completed"
    assert check_of(found)["output"] == "It was stopped: the gateway ended."
    assert check_of(found)["status"] == "interrupted"


def test_a_check_does_not_outlive_a_gateway_that_is_killed(
    own_gateway: Gateway, shared_repository: Path
) -> None:
    run_id, _ = start_waiting(own_gateway, shared_repository)
    own_gateway.stop(signal.SIGKILL)
    assert wait_until_gone(own_gateway.data_dir, 10) == []
    with serving(own_gateway.data_dir, *DEMO) as again:
        found = again.run(run_id)
        assert found["variations"][0]["status"] == "completed"
        assert check_of(found)["status"] == "interrupted"
        assert check_of(found)["output"] == "There is no result: the gateway ended."
        assert wait_until_removed(own_gateway.data_dir) == []


def test_the_command_shows_what_the_check_said(repository: Path, tmp_path: Path) -> None:
    if shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed")
    data = ("--data-dir", str(tmp_path / "data"))
    flags = ("--demo", "--backend", "local", "--demo-tokens-per-second", "1000", *data)
    done = run("run", ".", "x", "-n", "1", "--check", "exit 5", *flags, cwd=repository)
    assert re.search(rb"^\[1\] check: failed \(5\) \([0-9.]+ s\)$", done.stdout, re.MULTILINE)
    assert re.search(rb"^1  completed .* failed \(5\) ", done.stdout, re.MULTILINE)
    assert b"failed (5)" in run("show", *data, cwd=repository).stdout
    shown = json.loads(run("show", "1", "--json", *data, cwd=repository).stdout)
    assert shown["check"]["exit_code"] == 5


def test_without_bubblewrap_a_check_is_refused_before_anything_is_spent(
    shared_repository: Path, tmp_path: Path
) -> None:
    with serving(tmp_path / "data", *DEMO, PATH=path_without(tmp_path / "bin", "bwrap")) as gateway:
        body = {"github_url": shared_repository.as_uri(), "prompt": "x", "check": "true"}
        refused = gateway.http.post("/runs", json=body)
        assert refused.status_code == 422
        error = refused.json()["errors"][0]
        assert error["field"] == "check"
        assert "Install bubblewrap" in error["message"]
        assert "--check-unsandboxed" in error["message"]
        assert gateway.http.get("/runs").json()["runs"] == []
        assert gateway.http.get("/readyz").json()["checks"] is False
        # The operator alone can allow it.
        asked = gateway.http.post("/runs", json={**body, "check_unsandboxed": True})
        assert asked.json()["errors"][0]["field"] == "check_unsandboxed"


def test_without_bubblewrap_the_operator_can_allow_checks_as_plain_processes(
    shared_repository: Path, tmp_path: Path
) -> None:
    with serving(
        tmp_path / "data", *DEMO, "--check-unsandboxed",
        PATH=path_without(tmp_path / "bin", "bwrap"), AIDEATOR_API_KEY="key-canary",
    ) as gateway:  # fmt: skip
        said = "checks run as plain processes (--check-unsandboxed)"
        assert said in gateway.http.get("/readyz").json()["reason"]
        assert said in gateway.log.read_text()
        assert gateway.http.get("/readyz").json()["checks"] is True
        run_id = gateway.create(
            github_url=shared_repository.as_uri(), variations=1,
            check="env; pwd; ulimit -c; truncate -s 9G big; exit 4",
        )  # fmt: skip
        check = check_of(gateway.finish(run_id))
    assert check["exit_code"] == 4
    assert "File too large" in check["output"] or "file size" in check["output"].lower()
    assert f"/work/{run_id}/check1/home" in check["output"]
    assert "key-canary" not in check["output"]


def test_with_bubblewrap_a_check_is_sandboxed_whatever_is_allowed(
    shared_repository: Path, tmp_path: Path
) -> None:
    with serving(tmp_path / "data", *DEMO, "--check-unsandboxed") as gateway:
        need_bubblewrap(gateway)
        run_id = gateway.create(
            github_url=shared_repository.as_uri(), variations=1,
            check=f"test ! -e {gateway.data_dir}/server.json",
        )  # fmt: skip
        assert check_of(gateway.finish(run_id))["passed"]
