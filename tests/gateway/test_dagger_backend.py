"""The Dagger backend against a scripted client: what an engine does rarely, done on purpose.

What a real engine does is tested in tests/engine.
"""

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aideator.protocol import AnyEvent, EndEvent, Limits, Task
from aideator_gateway.backends.dagger.backend import DaggerBackend
from aideator_gateway.backends.dagger.query import explain
from aideator_gateway.backends.workdir import WorkDirectory
from aideator_gateway.runs.backend import BackendError, RunSpec
from aideator_gateway.runs.model import CheckResult
from aideator_gateway.settings import Settings
from tests.support.gateways import Gateway, serving
from tests.support.logs import end_line, event_line
from tests.support.scripted_dagger import install

SECONDS = 30.0


class Engine:
    """A plan for the scripted client, and what the gateway asked it."""

    def __init__(self, directory: Path) -> None:
        self._plan = directory / "plan.json"
        self.play()
        self.command = install(directory, self._plan)
        self.cancelled = directory / "cancelled"
        self._queries = directory / "queries.jsonl"

    def play(self, **plan: Any) -> None:
        new = self._plan.with_suffix(".new")
        new.write_text(json.dumps(plan))
        new.replace(self._plan)

    @property
    def queries(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._queries.read_text().splitlines()]

    @property
    def run_query(self) -> dict[str, Any]:
        return next(query for query in self.queries[::-1] if "runVariations" in query["query"])


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return Engine(tmp_path_factory.mktemp("engine"))


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, engine: Engine) -> Iterator[Gateway]:
    with gateway_on(engine, tmp_path_factory.mktemp("gateway")) as gateway:
        wait(lambda: ready(gateway)["ready"])
        yield gateway


def gateway_on(engine: Engine, tmp_path: Path, **settings: str) -> Any:
    return serving(
        tmp_path / "data",
        "--backend",
        "dagger",
        "--allow-file",
        _EXPERIMENTAL_DAGGER_CLI_BIN=str(engine.command),
        _EXPERIMENTAL_DAGGER_RUNNER_HOST="",
        **{"AIDEATOR_API_KEY": "sk-ant-very-secret", **settings},
    )


def ready(gateway: Gateway) -> dict[str, Any]:
    told: dict[str, Any] = gateway.http.get("/readyz").json()
    return told


def wait(done: Callable[[], Any]) -> None:
    deadline = time.monotonic() + SECONDS
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def start(gateway: Gateway, engine: Engine, lines: dict[int, list[bytes]], **plan: Any) -> str:
    """Start a run for which the engine has lines."""
    body = {name: plan.pop(name) for name in ("check", "conditions", "ref") if name in plan}
    told = {str(number): [line.decode() for line in some] for number, some in lines.items()}
    engine.play(lines=told, **plan)
    return gateway.create(github_url="https://github.com/user/repo", variations=len(lines), **body)


def numbers(gateway: Gateway, run_id: str, variation: int) -> list[int]:
    answer = gateway.http.get(f"/runs/{run_id}/variations/{variation}/transcript")
    return [json.loads(line)["seq"] for line in answer.text.splitlines()]


def talk(variation: int, count: int) -> list[bytes]:
    """Return the lines of an attempt that completes."""
    lines = [event_line(seq, variation=variation) for seq in range(1, count)]
    return [*lines, end_line(count, variation=variation)]


def test_events_that_came_live_make_a_run(gateway: Gateway, engine: Engine) -> None:
    run_id = start(gateway, engine, {1: talk(1, 30), 2: talk(2, 40)})
    run = gateway.finish(run_id)
    assert run["status"] == "completed"
    assert (run["backend"], run["isolation"], run["commit"]) == ("dagger", "dagger", "c" * 40)
    assert numbers(gateway, run_id, 1) == list(range(1, 31))
    assert numbers(gateway, run_id, 2) == list(range(1, 41))
    # Nothing was missing, so no transcript was asked for.
    after = engine.queries[engine.queries.index(engine.run_query) :]
    assert not any("node(" in query["query"] for query in after)


@pytest.mark.parametrize("live", [[], [0, 1, 5, 9], [9], [8, 7, 6, 0]])
def test_what_did_not_come_live_comes_from_the_transcript(
    gateway: Gateway, engine: Engine, live: list[int]
) -> None:
    run_id = start(gateway, engine, {1: talk(1, 10)}, live=live)
    assert gateway.finish(run_id)["variations"][0]["status"] == "completed"
    assert numbers(gateway, run_id, 1) == list(range(1, 11))


def test_a_container_that_died_without_a_word_is_settled_by_the_answer(
    gateway: Gateway, engine: Engine
) -> None:
    said = {"status": "failed", "errorCode": "agent_crashed", "message": "Killed by signal 9."}
    lines = {1: talk(1, 5)[:-1], 2: talk(2, 5)}
    run = gateway.finish(start(gateway, engine, lines, answer={"1": said}))
    assert run["status"] == "completed"
    first, second = run["variations"]
    assert (first["status"], first["code"]) == ("failed", "agent_crashed")
    assert first["message"] == "Killed by signal 9."
    assert second["status"] == "completed"
    assert numbers(gateway, run["run_id"], 1) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("repo: there is no repository to be read at https://x", "repository_not_found"),
        ("repo: https://x has no commit yet; push one", "repository_empty"),
        ("repo: https://x cannot be reached: timeout", "repository_unreachable"),
        ("ref: https://x has no branch, tag or commit 'y'.", "ref_not_found"),
        ("base_image: it has Python 3.8", "base_image_unsupported"),
        ("setup: it ended with exit code 1", "setup_failed"),
        ("write /x: no space left on device", "disk_full"),
        ("anything else", "sandbox_failed"),
    ],
)
def test_errors_of_the_module_have_codes(said: str, code: str) -> None:
    error = explain(said)
    assert (error.code, error.message) == (code, said)


def test_an_error_of_the_module_fails_the_run(gateway: Gateway, engine: Engine) -> None:
    marked = "FunctionError: ref: there is none [traceparent:0123-4567]"
    run = gateway.finish(start(gateway, engine, {1: [], 2: []}, error=marked))
    told = (run["status"], run["code"], run["message"])
    assert told == ("failed", "ref_not_found", "ref: there is none")
    assert {variation["code"] for variation in run["variations"]} == {"ref_not_found"}


def test_cancelling_closes_the_query_and_keeps_what_was_said(
    gateway: Gateway, engine: Engine
) -> None:
    run_id = start(gateway, engine, {1: talk(1, 5)[:-1]}, mode="hang")
    wait(lambda: numbers(gateway, run_id, 1) == [1, 2, 3, 4])
    started = time.monotonic()
    assert gateway.http.post(f"/runs/{run_id}/cancel", json={}).status_code == 200
    run = gateway.run(run_id)
    assert time.monotonic() - started < 2
    assert run["status"] == "cancelled"
    wait(engine.cancelled.exists)


def test_an_engine_that_goes_away_fails_the_run_and_the_next_one_works(
    gateway: Gateway, engine: Engine
) -> None:
    lines = {1: talk(1, 5), 2: talk(2, 5)[:-1]}
    run = gateway.finish(start(gateway, engine, lines, mode="die"))
    first, second = run["variations"]
    assert first["status"] == "completed"
    assert (second["status"], second["code"]) == ("failed", "engine_lost")
    # No waiting for the engine: a run that finds none open asks for a session at once.
    run = gateway.finish(start(gateway, engine, {1: talk(1, 5)}))
    assert run["status"] == "completed", run
    assert ready(gateway)["ready"]


def test_an_engine_that_is_gone_for_a_while_is_a_state(gateway: Gateway, engine: Engine) -> None:
    engine.play(lines={"1": []}, mode="die", engine=False)
    gateway.finish(gateway.create(github_url="https://github.com/user/repo", variations=1))
    wait(lambda: not ready(gateway)["ready"])
    run = gateway.finish(gateway.create(github_url="https://github.com/user/repo", variations=1))
    assert (run["status"], run["code"]) == ("failed", "engine_unavailable")
    answer = gateway.http.get("/readyz")
    assert answer.status_code == 503
    assert "there is none" in answer.json()["reason"]
    run = gateway.finish(start(gateway, engine, {1: talk(1, 5)}))
    assert run["status"] == "completed", run


def test_the_key_is_in_no_query_and_in_no_log(gateway: Gateway, engine: Engine) -> None:
    gateway.finish(start(gateway, engine, {1: talk(1, 3)}))
    assert "env://ANTHROPIC_API_KEY" in json.dumps(engine.queries)
    assert "very-secret" not in json.dumps(engine.queries)
    assert "very-secret" not in gateway.log.read_text()


def test_what_a_run_asks_for_reaches_the_module(gateway: Gateway, engine: Engine) -> None:
    conditions: list[dict[str, Any]] = [
        {"label": 'a "quote"\n😀'},
        {"model": "other", "temperature": 0.5},
    ]
    check = {"command": "true", "exitCode": 3, "seconds": 1.5, "output": "no", "passed": False}
    run_id = start(
        gateway,
        engine,
        {1: talk(1, 3), 2: talk(2, 3)},
        conditions=conditions,
        ref="main",
        check="pytest -q",
        answer={"2": {"check": check}},
    )
    run = gateway.finish(run_id)
    asked = engine.run_query
    values = list(asked["variables"].values())
    assert asked["query"].startswith(f"query {run_id}(")
    assert {"main", "pytest -q", "https://github.com/user/repo", "Do it."} <= {
        value for value in values if isinstance(value, str)
    }
    sent = next(value for value in values if isinstance(value, list))
    assert json.loads(sent[0]) == {**conditions[0], "model": run["model"]}
    assert json.loads(sent[1]) == conditions[1]
    assert [variation["check"] for variation in run["variations"]] == [
        None,
        {"command": "true", "exit_code": 3, "seconds": 1.5, "output": "no", "passed": False},
    ]


class Told:
    """A sink that keeps how each variation ended."""

    def __init__(self) -> None:
        self.ends: list[str] = []

    async def prepared(self, *, commit: str, isolation: str) -> None:
        del commit, isolation

    async def event(self, event: AnyEvent) -> None:
        if isinstance(event, EndEvent):
            self.ends.append(event.status)

    async def checked(self, variation_id: int, result: CheckResult) -> None:
        del variation_id, result

    async def failed(self, variation_id: int, error: BackendError) -> None:
        raise AssertionError((variation_id, error.message))


def test_a_session_is_replaced_when_idle_after_enough_runs(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    engine.play(lines={"1": [line.decode() for line in talk(1, 3)]})
    environ = {**os.environ, "_EXPERIMENTAL_DAGGER_CLI_BIN": str(engine.command)}
    environ.pop("_EXPERIMENTAL_DAGGER_RUNNER_HOST", None)
    settings = Settings(data_dir=tmp_path, base_url="http://127.0.0.1:9")
    work = WorkDirectory(tmp_path / "work", "gw_1")

    async def scene() -> list[str]:
        backend = DaggerBackend(settings, work, environ, session_runs=2)
        told = Told()
        await backend.start()
        try:
            for number in range(5):
                spec = RunSpec(
                    run_id=f"run_{number}",
                    url="https://github.com/a/b",
                    ref=None,
                    tasks=(Task(prompt="x"),),
                    limits=Limits(),
                )
                await backend.run(spec, told, asyncio.Event())
                # Whoever comes while the session is being replaced waits for the next one.
                await asyncio.sleep(0.6)
        finally:
            await backend.aclose()
            work.close()
        return told.ends

    assert asyncio.run(scene()) == ["completed"] * 5
    opened = sum("moduleSource" in query["query"] for query in engine.queries)
    assert opened in (2, 3)
    assert not (tmp_path / "work").exists()


def test_a_client_that_cannot_be_started_is_a_state(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    engine.command.write_text("no program")
    with gateway_on(engine, tmp_path) as gateway:
        wait(lambda: "cannot be started" in ready(gateway)["reason"])
        run = gateway.finish(
            gateway.create(github_url="https://github.com/user/repo", variations=1)
        )
        assert (run["status"], run["code"]) == ("failed", "engine_unavailable")


def test_nothing_is_left_when_the_gateway_is_killed(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    with gateway_on(engine, tmp_path) as gateway:
        wait(lambda: ready(gateway)["ready"])
        found = Path(f"/proc/{gateway.process.pid}/task/{gateway.process.pid}/children")
        client = int(found.read_text().split()[0])
        os.kill(gateway.process.pid, signal.SIGKILL)
        gateway.process.wait()
        wait(lambda: not Path(f"/proc/{client}").exists())
