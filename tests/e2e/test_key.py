"""The API key goes to the model's server and nowhere else."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from aideator.protocol import PatchEvent, parse_line
from aideator_gateway.scripted_model.script import Reply, Text, ToolUse
from tests.support.gateways import serving
from tests.support.processes import (
    argument_lists,
    brokers_of,
    environment_of,
    memory,
    open_files,
    processes_of,
)
from tests.support.repositories import FILES, make_repository
from tests.support.stage import Stage, staged

KEY = "sk-ant-test-0123456789-secret"

HOSTILE = {
    **FILES,
    # Each of these would redirect or read the key if anything looked at it.
    "anthropic.py": "raise SystemExit('imported from the repository')\n",
    "sitecustomize.py": "raise SystemExit('imported from the repository')\n",
    "aideator/__init__.py": "raise SystemExit('imported from the repository')\n",
    ".env": "ANTHROPIC_BASE_URL=http://127.0.0.1:9\nANTHROPIC_API_KEY=other\n",
    ".netrc": "default login x password y\n",
    ".anthropic/config.json": '{"base_url": "http://127.0.0.1:9"}\n',
    "pyproject.toml": '[tool.anthropic]\nbase_url = "http://127.0.0.1:9"\n',
}


SETTINGS = {"AIDEATOR_API_KEY": "", "ANTHROPIC_API_KEY": KEY}


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Return a gateway that has the key, for all but what looks at every file of it."""
    with staged(tmp_path_factory.mktemp("key") / "data", serving, **SETTINGS) as stage:
        yield stage


def test_the_key_is_in_no_event_row_file_log_or_argument_list(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repository", HOSTILE)
    replies: list[Reply] = [
        [Text("Looking. "), ToolUse("list_files", {"path": "."})],
        [Text("slow " * 40, pace=0.02)],
    ]
    arguments = b""
    with staged(tmp_path / "data", serving, **SETTINGS) as stage:
        model, gateway = stage.model, stage.gateway
        stage.play(default=replies)
        run_id = gateway.create(github_url=repository.as_uri(), variations=2)
        stream = ""
        for event in gateway.stream(run_id):
            stream += event.data
            if json.loads(event.data).get("type") == "agent_output":
                arguments += b"".join(argument_lists().values())
        assert gateway.run(run_id)["status"] == "completed"
        answers = stream + gateway.http.get("/runs").text + gateway.http.get("/readyz").text
        for number in (1, 2):
            answers += gateway.http.get(f"/runs/{run_id}/variations/{number}/transcript").text
        # It did arrive where it belongs, from every variation.
        assert {r.variation for r in model.requests if KEY in str(r.headers)} == {1, 2}
    assert b"aideator.agent" in arguments
    assert KEY.encode() not in arguments
    assert KEY not in answers
    files = [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert files
    everything = b"".join(path.read_bytes() for path in files)
    assert KEY.encode() not in everything + (tmp_path / "data.log").read_bytes()


def test_no_agent_has_the_key(shared_repository: Path, keyed: Stage) -> None:
    replies: list[Reply] = [[Text("slow " * 200, pace=0.05)]]
    gateway = keyed.gateway
    keyed.play(default=replies)
    run_id = gateway.create(github_url=shared_repository.as_uri(), variations=2)
    speaking = set()
    for event in gateway.stream(run_id):
        data = json.loads(event.data)
        if data.get("type") == "agent_output":
            speaking.add(data["variation_id"])
        if len(speaking) == 2:
            break
    processes = processes_of(gateway.data_dir)
    agents = [number for number in processes if b"aideator.agent" in argument_lists()[number]]
    assert len(agents) >= 2
    for agent in agents:
        os.kill(agent, signal.SIGSTOP)
    try:
        for agent in agents:
            assert KEY not in str(environment_of(agent))
            assert KEY.encode() not in open_files(agent)
        memories = [memory(agent) for agent in agents]
    finally:
        for agent in agents:
            os.kill(agent, signal.SIGCONT)
    assert [KEY.encode() in found for found in memories] == [False] * len(agents)
    # It is a look that finds what is there: the broker has it, and agents know their run.
    (broker,) = brokers_of(gateway.process.pid)
    assert KEY.encode() in memory(broker)
    assert sum(run_id.encode() in found for found in memories) >= 2
    assert KEY not in str(environment_of(broker))
    assert KEY.encode() not in argument_lists()[broker]
    gateway.http.post(f"/runs/{run_id}/cancel", json={})


def test_a_patch_that_holds_the_key_is_not_kept(shared_repository: Path, keyed: Stage) -> None:
    given = {"command": "create", "path": "new.txt", "file_text": f"{KEY}\n"}
    replies: list[Reply] = [[ToolUse("str_replace_based_edit_tool", given)], [Text("Done.")]]
    gateway = keyed.gateway
    keyed.play(default=replies)
    run_id = gateway.create(github_url=shared_repository.as_uri(), variations=1)
    (variation,) = gateway.finish(run_id)["variations"]
    assert (variation["status"], variation["code"]) == ("failed", "secret_in_patch")
    assert variation["patch"] is None
    answer = gateway.http.get(f"/runs/{run_id}/variations/1/patch")
    assert (answer.status_code, answer.json()["code"]) == (404, "patch_not_found")
    lines = gateway.http.get(f"/runs/{run_id}/variations/1/transcript").text.splitlines()
    (patch,) = [event for line in lines if isinstance(event := parse_line(line), PatchEvent)]
    assert (patch.withheld, patch.content()) == (True, b"")


def test_without_a_key_a_run_fails_before_any_work(shared_repository: Path, tmp_path: Path) -> None:
    with serving(tmp_path / "data", "--backend", "local", "--allow-file") as gateway:
        run = gateway.finish(gateway.create(github_url=shared_repository.as_uri()))
        assert (run["status"], run["code"]) == ("failed", "missing_api_key")
        assert run["commit"] is None
