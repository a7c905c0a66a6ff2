"""The Dagger backend against a scripted client: what an engine does rarely, done on purpose.

What a real engine does is tested in tests/engine.
"""

import asyncio
import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from aideator.protocol import AnyEvent, EndEvent, KnownProviders, Limits, Task
from aideator.protocol.tokens import Grant, token_for
from aideator_gateway.backends.broker.host import BrokerHost
from aideator_gateway.backends.commits.commits import Commits
from aideator_gateway.backends.dagger.backend import DaggerBackend
from aideator_gateway.backends.dagger.query import explain
from aideator_gateway.backends.dagger.session import QueryError
from aideator_gateway.backends.workdir import WorkDirectory
from aideator_gateway.runs.backend import BackendError, RunSpec
from aideator_gateway.runs.metrics import Metrics
from aideator_gateway.runs.model import CheckResult
from aideator_gateway.settings import Settings
from tests.support.forked import serving
from tests.support.gateways import Gateway
from tests.support.https_git import Certificate, GitServer
from tests.support.logs import end_line, event_line
from tests.support.processes import environment_of
from tests.support.repositories import git
from tests.support.scripted_dagger import install

SECONDS = 30.0


class Engine:
    """A plan for the scripted client, what the gateway asked it, and a repository for runs."""

    def __init__(self, directory: Path, forge: GitServer, certificate: Certificate) -> None:
        self.forge = forge
        self.url = f"{forge.url}/user/repo"
        self.network = {
            "AIDEATOR_ALLOW_HOST": forge.host, "GIT_SSL_CAINFO": str(certificate.authority)
        }  # fmt: skip
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
def engine(
    tmp_path_factory: pytest.TempPathFactory,
    git_servers: list[GitServer],
    certificate: Certificate,
) -> Engine:
    return Engine(tmp_path_factory.mktemp("engine"), git_servers[0], certificate)


@pytest.fixture
def own_engine(tmp_path: Path, git_servers: list[GitServer], certificate: Certificate) -> Engine:
    """Return one whose gateway does not serve other tests."""
    return Engine(tmp_path, git_servers[0], certificate)


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
        **{"AIDEATOR_API_KEY": "sk-ant-very-secret", **engine.network, **settings},
    )


def ready(gateway: Gateway) -> dict[str, Any]:
    told: dict[str, Any] = gateway.http.get("/readyz").json()
    return told


def client_of(gateway: Gateway) -> int:
    """Return the id of the process that holds the session."""
    found = Path(f"/proc/{gateway.process.pid}/task/{gateway.process.pid}/children")
    return next(
        int(child)
        for child in found.read_text().split()
        if b"session" in Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
    )


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
    return gateway.create(github_url=engine.url, variations=len(lines), **body)


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


def test_the_module_learns_of_model_servers_and_no_key(own_engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "some.toml"
    file.write_text(
        "[providers.other]\nbase_url = 'http://127.0.0.1:1'\napi_key_env = 'OTHER_KEY'\n"
        "editor_tool = 'plain'\n"
        "prices.m = { input = 1, output = 2, cache_write = 3, cache_read = 4 }\n"
    )
    key = "sk-other-0123456789"
    settings = {"AIDEATOR_CONFIG_FILE": str(file), "OTHER_KEY": key}
    with gateway_on(own_engine, tmp_path, **settings) as gateway:
        conditions = [{"provider": "other"}, {}]
        lines = {1: talk(1, 3), 2: talk(2, 3)}
        run_id = start(gateway, own_engine, lines, conditions=conditions)
        assert gateway.finish(run_id)["status"] == "completed"
        assert key not in str(environment_of(client_of(gateway)))
    asked = own_engine.run_query
    (name,) = re.findall(r"providers: \$(\w+)", asked["query"])
    known = KnownProviders.model_validate_json(asked["variables"][name]).root
    assert {name: one.editor_tool for name, one in known.items()} == {"other": "plain"}
    assert known["other"].prices["m"].output == 2
    assert key not in str(own_engine.queries)


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
    ("given", "said", "code"),
    [
        ("repository_not_found", "repo: there is no repository", "repository_not_found"),
        ("setup_failed", "in whatever words", "setup_failed"),
        (None, "write /x: no space left on device", "disk_full"),
        (None, "ref: nobody gave this a code", "sandbox_failed"),
        ("a code of a later module", "anything else", "sandbox_failed"),
    ],
)
def test_errors_of_the_module_have_codes(given: str | None, said: str, code: str) -> None:
    error = explain(QueryError(said, given))
    assert (error.code, error.message) == (code, said)


def test_an_error_of_the_module_fails_the_run(gateway: Gateway, engine: Engine) -> None:
    marked = "FunctionError: ref: there is none [traceparent:0123-4567]"
    extensions = {"extra.code": "ref_not_found"}
    plan = {"error": marked, "extensions": extensions}
    run = gateway.finish(start(gateway, engine, {1: [], 2: []}, **plan))
    told = (run["status"], run["code"], run["message"])
    assert told == ("failed", "ref_not_found", "ref: there is none")
    assert {variation["code"] for variation in run["variations"]} == {"ref_not_found"}


def test_a_run_ends_with_its_last_attempt_and_not_with_the_query(
    gateway: Gateway, engine: Engine
) -> None:
    lines = {1: talk(1, 5), 2: talk(2, 5)}
    run = gateway.finish(start(gateway, engine, lines, mode="hang"))
    assert run["status"] == "completed"
    assert run["commit"]
    wait(engine.cancelled.exists)


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


def test_the_check_of_what_completed_before_a_cancel_is_said_to_be_cancelled(
    gateway: Gateway, engine: Engine
) -> None:
    lines = {1: talk(1, 5), 2: talk(2, 5)[:-1]}
    run_id = start(gateway, engine, lines, mode="hang", check="true")
    wait(lambda: gateway.run(run_id)["variations"][0]["status"] == "completed")
    gateway.http.post(f"/runs/{run_id}/cancel", json={})
    run = gateway.run(run_id)
    assert [v["status"] for v in run["variations"]] == ["completed", "cancelled"]
    assert [v["check"]["status"] for v in run["variations"]] == ["cancelled"] * 2
    assert [e.event for e in gateway.stream(run_id)][-3:] == ["check", "check", "end"]


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
    gateway.finish(gateway.create(github_url=engine.url, variations=1))
    wait(lambda: not ready(gateway)["ready"])
    run = gateway.finish(gateway.create(github_url=engine.url, variations=1))
    assert (run["status"], run["code"]) == ("failed", "engine_unavailable")
    answer = gateway.http.get("/readyz")
    assert answer.status_code == 503
    assert "there is none" in answer.json()["reason"]
    run = gateway.finish(start(gateway, engine, {1: talk(1, 5)}))
    assert run["status"] == "completed", run


def test_the_engine_is_given_no_key_but_each_run_s_own(gateway: Gateway, engine: Engine) -> None:
    runs = [gateway.finish(start(gateway, engine, {1: talk(1, 3)})) for _ in range(2)]
    given = {
        query["variables"]["name"]: query["variables"]["key"]
        for query in engine.queries
        if "setSecret" in query["query"]
    }
    keys = [given[f"aideator-{run['run_id']}"] for run in runs]
    assert len(set(keys)) == 2
    asked = [query for query in engine.queries if "runVariations" in query["query"]]
    assert all("runKey: $" in query["query"] for query in asked)
    assert "very-secret" not in json.dumps(engine.queries)
    log = gateway.log.read_text()
    assert not [key for key in ("very-secret", *keys) if key in log]


def test_an_attempt_that_has_ended_opens_the_broker_no_more(
    tmp_path: Path, own_engine: Engine
) -> None:
    # The model's server is not there, which those are told who get through.
    with gateway_on(own_engine, tmp_path, AIDEATOR_BASE_URL="http://127.0.0.1:9") as gateway:
        lines = {1: talk(1, 5), 2: talk(2, 5)[:-1]}
        run_id = start(gateway, own_engine, lines, mode="hang")
        wait(lambda: gateway.run(run_id)["variations"][0]["status"] == "completed")
        (secret,) = (q["variables"] for q in own_engine.queries if "setSecret" in q["query"])
        (tunnel,) = (q["variables"] for q in own_engine.queries if "tunnel" in q["query"])
        url = f"http://127.0.0.1:{tunnel['port']}/v1/messages"

        def knock(variation: int) -> tuple[int, str]:
            grant = Grant(run=run_id, variation=variation, models=("m",), exp=time.time() + 60)
            answer = httpx.post(
                url, json={"model": "m"}, timeout=SECONDS,
                headers={"authorization": f"Bearer {token_for(secret['key'], grant)}"},
            )  # fmt: skip
            return answer.status_code, answer.headers["aideator-refused"]

        assert knock(1) == (403, "token_revoked")
        assert knock(2) == (502, "upstream_unreachable")
        gateway.http.post(f"/runs/{run_id}/cancel", json={})
        gateway.finish(run_id)
        wait(lambda: knock(2) == (403, "token_revoked"))


def test_the_client_is_given_neither_the_key_nor_the_gateway_s_token(
    tmp_path: Path, own_engine: Engine
) -> None:
    with gateway_on(own_engine, tmp_path, token="token-canary") as gateway:  # noqa: S106
        wait(lambda: ready(gateway)["ready"])
        given = environment_of(client_of(gateway))
    assert "PATH" in given
    assert not {"sk-ant-very-secret", "token-canary"} & set(given.values())
    assert not [name for name in given if name.startswith(("AIDEATOR_", "ANTHROPIC_"))]


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
    assert "checkSeconds: 600" in asked["query"]
    assert {"main", "pytest -q", engine.url, "Do it."} <= {
        value for value in values if isinstance(value, str)
    }
    sent = next(value for value in values if isinstance(value, list))
    assert json.loads(sent[0]) == {**conditions[0], "model": run["model"]}
    assert json.loads(sent[1]) == conditions[1]
    first, second = (variation["check"] for variation in run["variations"])
    assert first["status"] == "not_run"
    assert second == {
        "status": "failed", "command": "true", "exit_code": 3, "seconds": 1.5, "output": "no",
        "passed": False,
    }  # fmt: skip
    checked = [json.loads(e.data) for e in gateway.stream(run_id) if e.event == "check"]
    assert [(c["variation_id"], c["status"]) for c in checked] == [(2, "failed"), (1, "not_run")]


@pytest.fixture
def moved(engine: Engine) -> Iterator[dict[str, str]]:
    """Return where the repository's server sends whom."""
    engine.forge.asked.clear()
    yield engine.forge.moved
    engine.forge.moved.clear()


def test_the_engine_is_given_the_address_that_the_repository_moved_to(
    gateway: Gateway, engine: Engine, moved: dict[str, str]
) -> None:
    moved["GET /user/repo/info/refs"] = f"{engine.forge.url}/new/name/info/refs"
    before = len(engine.queries)
    run = gateway.finish(start(gateway, engine, {1: talk(1, 3)}))
    assert run["status"] == "completed"
    asked = json.dumps(engine.queries[before:])
    assert f"{engine.forge.url}/new/name" in asked
    assert engine.url not in asked


def test_a_repository_that_moved_to_another_host_does_not_reach_the_engine(
    gateway: Gateway, engine: Engine, moved: dict[str, str], git_servers: list[GitServer]
) -> None:
    foreign = git_servers[2]
    foreign.asked.clear()
    moved["GET /user/repo/info/refs"] = f"{foreign.url}/user/repo/info/refs"
    before = len(engine.queries)
    run = gateway.finish(start(gateway, engine, {1: talk(1, 3)}))
    assert (run["status"], run["code"]) == ("failed", "repository_unreachable")
    assert f"--allow-host {foreign.host} " in run["message"]
    assert foreign.asked == []
    later = engine.queries[before:]
    assert not [query for query in later if "url" in query["variables"]]
    assert not [query for query in later if "runVariations" in query["query"]]


def test_a_commit_of_this_machine_goes_to_the_engine_once_a_session(
    own_engine: Engine, tmp_path: Path, repository: Path
) -> None:
    own_engine.play(lines={"1": [line.decode() for line in talk(1, 3)]})
    with gateway_on(own_engine, tmp_path) as gateway:
        first = [gateway.create(github_url=repository.as_uri(), variations=1) for _ in range(3)]
        ended = [gateway.finish(run_id) for run_id in first]
        assert {(run["status"], run["copies"]) for run in ended} == {("completed", None)}
        git(repository, "commit", "--quiet", "--allow-empty", "--message=Second")
        run = gateway.finish(gateway.create(github_url=repository.as_uri(), variations=1))
        assert run["status"] == "completed"
    sent = [q["variables"]["path"] for q in own_engine.queries if "directory(path" in q["query"]]
    assert len(sent) == 2
    # All of them, and the runs' answers, name the commit that the gateway keeps.
    kept = {str(path) for path in (tmp_path / "data").glob("commits/*/*/repo")}
    assert set(sent) == kept
    told = [q["variables"] for q in own_engine.queries if "runVariations" in q["query"]]
    assert len(told) == 4
    assert all("an-id" in variables.values() for variables in told)


class Told:
    """A sink that keeps how each variation ended."""

    def __init__(self) -> None:
        self.ends: list[str] = []

    async def prepared(self, *, commit: str, isolation: str, copies: str | None) -> None:
        del commit, isolation, copies

    async def event(self, event: AnyEvent, line: bytes | None = None) -> None:
        del line
        if isinstance(event, EndEvent):
            self.ends.append(event.status)

    async def checked(self, variation_id: int, result: CheckResult) -> None:
        del variation_id, result

    async def failed(self, variation_id: int, error: BackendError) -> None:
        raise AssertionError((variation_id, error.message))


def test_a_session_is_replaced_when_idle_after_enough_runs(
    tmp_path: Path, own_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = own_engine
    monkeypatch.setenv("GIT_SSL_CAINFO", engine.network["GIT_SSL_CAINFO"])
    engine.play(lines={"1": [line.decode() for line in talk(1, 3)]})
    environ = {**os.environ, "_EXPERIMENTAL_DAGGER_CLI_BIN": str(engine.command)}
    environ.pop("_EXPERIMENTAL_DAGGER_RUNNER_HOST", None)
    settings = Settings(data_dir=tmp_path, base_url="http://127.0.0.1:9")
    work = WorkDirectory(tmp_path / "work", "gw_1")
    commits = Commits(tmp_path / "commits", settings, work, Metrics())

    def sessions() -> int:
        return sum("moduleSource" in query["query"] for query in engine.queries)

    async def scene() -> list[str]:
        broker = BrokerHost(settings, tmp_path, "gw_1")
        backend = DaggerBackend(settings, work, broker, commits, environ, session_runs=2)
        told = Told()
        await backend.start()
        try:
            for number in range(5):
                spec = RunSpec(
                    run_id=f"run_{number}",
                    url=engine.url,
                    ref=None,
                    tasks=(Task(prompt="x"),),
                    limits=Limits(),
                )
                # Whoever comes while the session is being replaced waits for the next one.
                await backend.run(spec, told, asyncio.Event())
                async with asyncio.timeout(SECONDS):
                    while sessions() < 1 + (number + 1) // 2:  # noqa: ASYNC110 - nothing rings
                        await asyncio.sleep(0.05)
        finally:
            await backend.aclose()
            await work.aclose()
        return told.ends

    assert asyncio.run(scene()) == ["completed"] * 5
    assert sessions() == 3
    assert not (tmp_path / "work").exists()


def test_a_client_that_cannot_be_started_is_a_state(tmp_path: Path, own_engine: Engine) -> None:
    own_engine.command.write_text("no program")
    with gateway_on(own_engine, tmp_path) as gateway:
        wait(lambda: "cannot be started" in ready(gateway)["reason"])
        run = gateway.finish(gateway.create(github_url=own_engine.url, variations=1))
        assert (run["status"], run["code"]) == ("failed", "engine_unavailable")


def test_nothing_is_left_when_the_gateway_is_killed(tmp_path: Path, own_engine: Engine) -> None:
    with gateway_on(own_engine, tmp_path) as gateway:
        wait(lambda: ready(gateway)["ready"])
        client = client_of(gateway)
        os.kill(gateway.process.pid, signal.SIGKILL)
        gateway.process.wait()
        wait(lambda: not Path(f"/proc/{client}").exists())
