"""The gateway on a real engine, with a scripted model on the gateway's own loopback."""

import base64
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from aideator_gateway.scripted_model.player import Request
from aideator_gateway.scripted_model.script import Hang, HttpError, Reply, Text, Wait
from aideator_gateway.scripted_model.server import ScriptedModel
from tests.engine.module import creates, forms
from tests.support.collector import Collector
from tests.support.gateways import Gateway, serving
from tests.support.processes import brokers_of
from tests.support.repositories import apply_patch, git

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]

KEY = "sk-ant-test-0123456789abcdef"
JWT = base64.b64encode(b'{"alg":"HS256"')[:18].decode()
"""How tokens begin."""
LINES = 5000


class Prompts:
    """Plays what the prompt names, so that all tests can share one model and one gateway."""

    def __init__(self, replies: dict[str, Callable[[int], list[Reply]]]) -> None:
        self._replies = replies

    def reply(self, request: Request) -> Reply:
        text = json.dumps(request.messages[0])
        replies = next(reply for name, reply in self._replies.items() if name in text)
        turn = sum(message["role"] == "assistant" for message in request.messages)
        reply: Reply = replies(request.variation or 0)[turn]
        return reply


def live(variation: int) -> list[Reply]:
    first, last = creates(f"made by {variation}.txt", f"déjà vu 😀 {variation}\n")
    talk = Text([f"Gedanke {number} 思考 " for number in range(40)], pace=0.1, stamp=True)
    return [[talk, *first], last]


def failing(variation: int) -> list[Reply]:
    if variation == 1:
        return [[HttpError(404, "not_found_error", "model: none")]]
    return creates("made.txt")


@pytest.fixture(scope="module")
def model() -> Iterator[ScriptedModel]:
    player = Prompts(
        {
            "live": live,
            "check": failing,
            "many": lambda _: [[Text([f"{number:05d} " for number in range(LINES)])]],
            "endless": lambda _: [[Text("I start."), Wait(0.1), Hang()]],
        }
    )
    with ScriptedModel(player) as model:
        yield model


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


@pytest.fixture(scope="module")
def gateway(
    engine: None,  # noqa: ARG001 - skips
    model: ScriptedModel,
    collector: Collector,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Gateway]:
    data_dir = tmp_path_factory.mktemp("gateway") / "data"
    with serving(
        data_dir,
        "--backend",
        "dagger",
        "--allow-file",
        "--allow-host",
        "127.0.0.1:1",
        AIDEATOR_BASE_URL=model.base_url,
        AIDEATOR_API_KEY=KEY,
        OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=collector.url,
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=collector.url,
        OTEL_EXPORTER_OTLP_TRACES_PROTOCOL="http/protobuf",
    ) as gateway:
        deadline = time.monotonic() + 240
        while not (told := gateway.http.get("/readyz").json())["ready"]:
            assert time.monotonic() < deadline, told
            time.sleep(0.2)
        yield gateway


def events(gateway: Gateway, run_id: str) -> Iterator[tuple[float, str, dict[str, Any]]]:
    for event in gateway.stream(run_id):
        yield time.time(), event.event, json.loads(event.data)


def test_a_whole_run_with_live_tokens_and_patches(
    gateway: Gateway,
    model: ScriptedModel,
    collector: Collector,
    shared_repository: Path,
    tmp_path: Path,
) -> None:
    run_id = gateway.create(github_url=shared_repository.as_uri(), prompt="live", variations=3)
    seen = list(events(gateway, run_id))
    tokens = [
        (at, data["variation_id"], data["content"])
        for at, _, data in seen
        if data.get("type") == "agent_output" and data["content"].startswith("t=")
    ]
    ended = {data["variation_id"]: at for at, name, data in seen if name == "completion"}
    for number in (1, 2, 3):
        mine = [(at, text) for at, variation, text in tokens if variation == number]
        assert [text.split(" ", 1)[1] for _, text in mine] == [
            f"Gedanke {count} 思考 " for count in range(40)
        ]
        delays = sorted(at - float(text[2:].split()[0]) for at, text in mine)
        # Live: 40 tokens take 4 s, and each is there long before the last has been said.
        assert delays[20] < 1.5, delays
        assert mine[0][0] < ended[number] - 2

    run = gateway.run(run_id)
    assert (run["status"], run["isolation"], run["backend"]) == ("completed", "dagger", "dagger")
    assert run["commit"] == git(shared_repository, "rev-parse", "HEAD")
    for number in (1, 2, 3):
        patch = gateway.http.get(f"/runs/{run_id}/variations/{number}/patch").content
        made = apply_patch(shared_repository, patch, tmp_path / str(number))
        assert (made / f"made by {number}.txt").read_text() == f"déjà vu 😀 {number}\n"
        transcript = gateway.http.get(f"/runs/{run_id}/variations/{number}/transcript").text
        lines = [json.loads(line) for line in transcript.splitlines()]
        assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))

    # The key reached the model, and neither the engine's client nor anything else.
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if b"dagger.io/sdk.name:aideator" in (process / "cmdline").read_bytes():
                assert KEY.encode() not in (process / "environ").read_bytes()
    asked = [request for request in model.requests if request.run == run_id]
    keys = {request.headers["authorization"] for request in asked}
    assert keys == {f"Bearer {KEY}"}
    assert KEY not in json.dumps([data for _, _, data in seen])
    assert KEY not in gateway.log.read_text()
    for file in gateway.data_dir.rglob("*"):
        assert not file.is_file() or KEY.encode() not in file.read_bytes(), file
    # The user's own collector got the logs and traces as well: not even the tokens are in them.
    assert any(run_id.encode() in body for body in collector.bodies)
    assert any(b"withSecretVariable" in body for body in collector.bodies)
    marks = [*forms(KEY), *forms(JWT)]
    assert not [mark for mark in marks for body in collector.bodies if mark in body]


def test_a_broker_that_dies_costs_attempts_a_try_and_no_more(
    gateway: Gateway, shared_repository: Path
) -> None:
    run_id = gateway.create(github_url=shared_repository.as_uri(), prompt="live", variations=2)
    killed, retries = 0, 0
    for _, _, data in events(gateway, run_id):
        if data.get("type") == "agent_output" and not killed:
            (killed,) = brokers_of(gateway.process.pid)
            os.kill(killed, signal.SIGKILL)
        retries += data.get("type") == "retry"
    run = gateway.run(run_id)
    assert [one["status"] for one in run["variations"]] == ["completed"] * 2, run["variations"]
    assert killed
    assert retries
    (again,) = brokers_of(gateway.process.pid)
    assert again != killed


def test_five_times_five_thousand_events_none_lost_and_all_in_order(
    gateway: Gateway, shared_repository: Path
) -> None:
    run_id = gateway.create(github_url=shared_repository.as_uri(), prompt="many", variations=5)
    found: dict[int, list[str]] = {number: [] for number in range(1, 6)}
    for _, _, data in events(gateway, run_id):
        if data.get("type") == "agent_output":
            found[data["variation_id"]].append(data["content"])
    assert gateway.run(run_id)["status"] == "completed"
    expected = [f"{number:05d} " for number in range(LINES)]
    assert {number: texts == expected for number, texts in found.items()} == dict.fromkeys(
        range(1, 6), True
    )
    assert "events are missing" not in gateway.log.read_text()


def test_cancelling_stops_the_containers_and_leaves_other_runs_alone(
    gateway: Gateway, model: ScriptedModel, shared_repository: Path
) -> None:
    url = shared_repository.as_uri()
    run_id = gateway.create(github_url=url, prompt="endless", variations=2)
    other = gateway.create(github_url=url, prompt="live", variations=1)
    speak: set[int] = set()
    for _, _, data in events(gateway, run_id):
        if data.get("type") == "agent_output":
            speak.add(data["variation_id"])
        if speak == {1, 2}:
            break
    asked = [request for request in model.requests if request.run == run_id]
    assert [request.over.is_set() for request in asked] == [False] * 2
    started = time.monotonic()
    gateway.http.post(f"/runs/{run_id}/cancel", json={})
    run = gateway.run(run_id)
    assert time.monotonic() - started < 2
    assert {variation["status"] for variation in run["variations"]} == {"cancelled"}
    alive = {request.run for request in model.requests}
    for request in asked:
        left = started + 2 - time.monotonic()
        assert request.over.wait(left), "an agent still talks to the model"
    assert other in alive or gateway.run(other)["status"] in ("pending", "running")
    assert gateway.finish(other)["status"] == "completed"


def test_failures_and_checks_are_told_and_leave_siblings_alone(
    gateway: Gateway, shared_repository: Path
) -> None:
    run_id = gateway.create(
        github_url=shared_repository.as_uri(),
        prompt="check",
        conditions=[{"model": "none"}, {"label": "good"}],
        check="cat made.txt; test ! -e made.txt",
    )
    run = gateway.finish(run_id)
    first, second = run["variations"]
    assert (first["status"], first["code"]) == ("failed", "model_not_found")
    assert (second["status"], second["check"]["exit_code"]) == ("completed", 1)
    assert "made" in second["check"]["output"]
    assert first["check"]["exit_code"] == 0


def test_a_repository_that_cannot_be_reached_starts_no_agent(
    gateway: Gateway, model: ScriptedModel
) -> None:
    run = gateway.finish(gateway.create(github_url="https://127.0.0.1:1/user/repo"))
    assert (run["status"], run["code"]) == ("failed", "repository_unreachable")
    assert {variation["code"] for variation in run["variations"]} == {run["code"]}
    assert not any(request.run == run["run_id"] for request in model.requests)


def test_runs_side_by_side_keep_apart(gateway: Gateway, shared_repository: Path) -> None:
    url = shared_repository.as_uri()
    ids = [gateway.create(github_url=url, prompt="live", variations=1) for _ in range(2)]
    results: dict[str, Any] = {}

    def follow(run_id: str) -> None:
        results[run_id] = gateway.finish(run_id)["status"]

    threads = [threading.Thread(target=follow, args=(run_id,)) for run_id in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == dict.fromkeys(ids, "completed")
    for run_id in ids:
        text = gateway.http.get(f"/runs/{run_id}/variations/1/transcript").text
        assert {json.loads(line)["run"] for line in text.splitlines()} == {run_id}
