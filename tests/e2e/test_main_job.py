"""The main job: one prompt, one repository, three variations, live; patches; a winner."""

import itertools
import json
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from aideator_gateway.scripted_model.script import HttpError, Reply, Text, ToolUse
from aideator_gateway.scripted_model.server import Script, ScriptedModel
from tests.support.forked import serving
from tests.support.gateways import Gateway
from tests.support.repositories import apply_patch, git


def test_a_run_from_post_to_winner(demo_gateway: Gateway, repository: Path, tmp_path: Path) -> None:
    body = {"github_url": repository.as_uri(), "prompt": "Improve it."}
    created = demo_gateway.http.post("/runs", json=body)
    assert created.status_code == 202
    run_id, stream_url = created.json()["run_id"], created.json()["stream_url"]
    assert set(created.json()) == {"run_id", "stream_url"}
    assert stream_url == f"/runs/{run_id}/stream"
    assert created.headers["location"] == f"/runs/{run_id}"

    events = [(e.event, json.loads(e.data), e.id) for e in demo_gateway.stream(run_id)]
    assert [int(id_) for *_, id_ in events] == list(range(1, len(events) + 1))
    assert events[-1][:2] == ("end", {"status": "completed"})
    completions = [data for name, data, _ in events if name == "completion"]
    assert {c["variation_id"] for c in completions} == {1, 2, 3}
    assert {c["status"] for c in completions} == {"completed"}
    for number in (1, 2, 3):
        said = "".join(
            data["content"]
            for name, data, _ in events
            if name == "message"
            and data["type"] == "agent_output"
            and data["variation_id"] == number
        )
        assert "scripted demo" in said
        assert "not an LLM" in said

    run = demo_gateway.run(run_id)
    assert run["status"] == "completed"
    assert run["commit"] == git(repository, "rev-parse", "HEAD")
    assert run["isolation"] in ("bubblewrap", "process")
    assert run["scripted"] is True
    patches = []
    for number in (1, 2, 3):
        response = demo_gateway.http.get(f"/runs/{run_id}/variations/{number}/patch")
        assert response.headers["content-type"].startswith("text/x-diff")
        checkout = apply_patch(repository, response.content, tmp_path / f"checkout{number}")
        assert git(checkout, "status", "--porcelain")
        patches.append(response.content)
    assert len(set(patches)) == 3

    select = {"winning_variation_id": 2}
    assert demo_gateway.http.post(f"/runs/{run_id}/select", json=select).json() == {
        "status": "success"
    }
    assert demo_gateway.run(run_id)["winning_variation_id"] == 2
    assert demo_gateway.http.get("/runs").json()["runs"][0]["run_id"] == run_id


def test_a_transcript_is_the_agents_own_lines(demo_gateway: Gateway, repository: Path) -> None:
    run_id = demo_gateway.create(github_url=repository.as_uri(), variations=1)
    demo_gateway.finish(run_id)
    transcript = demo_gateway.http.get(f"/runs/{run_id}/variations/1/transcript")
    lines = [json.loads(line) for line in transcript.text.splitlines()]
    assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))
    assert lines[0]["type"] == "status"
    assert [line["type"] for line in lines][-2:] == ["patch", "completed"]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_reads_the_stream(demo_gateway: Gateway, repository: Path) -> None:
    run_id = demo_gateway.create(github_url=repository.as_uri(), variations=1)
    done = subprocess.run(
        ["curl", "-sN", "--max-time", "60", f"{demo_gateway.url}/runs/{run_id}/stream"],
        capture_output=True,
        text=True,
        check=True,
    )
    blocks = done.stdout.strip().split("\n\n")
    assert all(block.startswith("id: ") for block in blocks if not block.startswith(":"))
    assert blocks[-1].splitlines()[1:] == ["event: end", 'data: {"status": "completed"}']


def test_reconnecting_gives_exactly_the_rest(demo_gateway: Gateway, repository: Path) -> None:
    run_id = demo_gateway.create(github_url=repository.as_uri(), variations=2)
    seen = []
    for event in demo_gateway.stream(run_id):
        seen.append((event.id, event.event, event.data))
        if len(seen) == 40:
            break  # the connection is cut in the middle
    rest = [(e.id, e.event, e.data) for e in demo_gateway.stream(run_id, seen[-1][0])]
    whole = [(e.id, e.event, e.data) for e in demo_gateway.stream(run_id)]
    assert seen + rest == whole
    # Asked again after the end there is nothing left, which stops a browser.
    url = f"/runs/{run_id}/stream"
    after = demo_gateway.http.get(url, headers={"Last-Event-ID": whole[-1][0]})
    assert (after.status_code, after.content) == (204, b"")


def test_tokens_arrive_while_the_model_still_speaks_and_variations_interleave(
    shared_repository: Path, tmp_path: Path
) -> None:
    replies = [[Text("word " * 100, pace=0.02)]]
    player = Script({1: replies, 2: replies, 3: replies})
    with (
        ScriptedModel(player) as model,
        serving(
            tmp_path / "data", "--backend", "local", "--allow-file", "--base-url", model.base_url,
            AIDEATOR_API_KEY="key",
        ) as gateway,
    ):  # fmt: skip
        run_id = gateway.create(github_url=shared_repository.as_uri(), variations=3)
        arrivals: dict[int, list[float]] = {1: [], 2: [], 3: []}
        order = []
        ended: dict[int, float] = {}
        for event in gateway.stream(run_id):
            data = json.loads(event.data)
            if data.get("type") == "agent_output":
                arrivals[data["variation_id"]].append(time.monotonic())
                order.append(data["variation_id"])
            elif event.event == "completion":
                ended[data["variation_id"]] = time.monotonic()
    for number, times in arrivals.items():
        # Each speaks for two seconds: what is live spreads over that time.
        assert len(times) >= 50
        assert ended[number] - times[0] > 1.0
        assert times[-1] - times[0] > 1.0
    switches = sum(1 for a, b in itertools.pairwise(order) if a != b)
    assert switches > 30


def test_one_failing_variation_leaves_its_siblings_alone(
    shared_repository: Path, tmp_path: Path
) -> None:
    good: list[Reply] = [
        [
            Text("I will write a file."),
            ToolUse(
                "str_replace_based_edit_tool",
                {"command": "create", "path": "new.txt", "file_text": "hello\n"},
            ),
        ],
        [Text("Done.")],
    ]
    refusal = HttpError(401, "authentication_error", "invalid x-api-key sk-ant-very-secret-0123")
    bad: list[Reply] = [[refusal]]
    with (
        ScriptedModel(Script({1: good, 2: bad, 3: good})) as model,
        serving(
            tmp_path / "data", "--backend", "local", "--allow-file", "--base-url", model.base_url,
            AIDEATOR_API_KEY="sk-ant-very-secret-0123",
        ) as gateway,
    ):  # fmt: skip
        run_id = gateway.create(github_url=shared_repository.as_uri())
        events = [(e.event, json.loads(e.data)) for e in gateway.stream(run_id)]
        errors = [data for name, data in events if name == "error"]
        assert [(e["variation_id"], e["status"], e["code"]) for e in errors] == [
            (2, "failed", "authentication_failed")
        ]
        assert errors[0]["message"]
        assert "sk-ant-very-secret-0123" not in json.dumps(events)
        done = {data["variation_id"] for name, data in events if name == "completion"}
        assert done == {1, 3}
        assert events[-1] == ("end", {"status": "completed"})
        for number in (1, 3):
            patch = gateway.http.get(f"/runs/{run_id}/variations/{number}/patch")
            assert b"+hello" in patch.content
        for number in (1, 2, 3):
            assert gateway.http.get(f"/runs/{run_id}/variations/{number}/transcript").text
        conflict = gateway.http.post(f"/runs/{run_id}/select", json={"winning_variation_id": 2})
        assert (conflict.status_code, conflict.json()["code"]) == (409, "variation_not_completed")
        missing = gateway.http.post(f"/runs/{run_id}/select", json={"winning_variation_id": 4})
        assert (missing.status_code, missing.json()["code"]) == (404, "variation_not_found")
        assert all("sk-ant-very-secret-0123" in str(request.headers) for request in model.requests)
    everything = b"".join(
        path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file()
    )
    assert b"sk-ant-very-secret-0123" not in everything + (tmp_path / "data.log").read_bytes()


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ("missing", "repository_not_found"),
        ("empty", "repository_empty"),
        ("no_such_ref", "ref_not_found"),
        ("plain_directory", "repository_not_found"),
    ],
)
def test_a_repository_that_cannot_be_used_is_a_failed_run(
    demo_gateway: Gateway, shared_repository: Path, tmp_path: Path, what: str, code: str
) -> None:
    if what == "empty":
        (tmp_path / what).mkdir()
        git(tmp_path / what, "init", "--quiet")
    if what == "plain_directory":
        (tmp_path / what).mkdir()
    path = shared_repository if what == "no_such_ref" else tmp_path / what
    extra = {"ref": "no-such-branch"} if what == "no_such_ref" else {}
    run_id = demo_gateway.create(github_url=path.as_uri(), **extra)
    events = [(e.event, json.loads(e.data)) for e in demo_gateway.stream(run_id)]
    assert [name for name, _ in events] == ["error", "error", "error", "end"]
    assert {data["code"] for name, data in events if name == "error"} == {code}
    run = demo_gateway.run(run_id)
    assert (run["status"], run["code"]) == ("failed", code)
    assert run["message"]
    assert "Traceback" not in demo_gateway.log.read_text()
