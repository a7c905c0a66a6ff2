"""Which backend ``auto`` takes, with what is there and what is not."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.forked import serving
from tests.support.scripted_dagger import install


def chosen(tmp_path: Path, *flags: str, **settings: str) -> tuple[str, str]:
    """Start a gateway, and return the backend it took and why."""
    environment = {
        "_EXPERIMENTAL_DAGGER_CLI_BIN": "",
        "_EXPERIMENTAL_DAGGER_RUNNER_HOST": "",
        # No dagger and no docker of this machine; git and bubblewrap are for the local backend.
        "PATH": str(tools(tmp_path)),
        **settings,
    }
    with serving(tmp_path / "data", "--demo", *flags, **environment) as gateway:
        told = gateway.http.get("/readyz").json()
    assert told["reason"] in gateway.log.read_text()
    return told["backend"], told["reason"]


def tools(tmp_path: Path) -> Path:
    directory = tmp_path / "bin"
    directory.mkdir(exist_ok=True)
    for name in ("git", "sh"):
        link = directory / name
        for place in os.environ["PATH"].split(":"):
            if not link.exists() and (Path(place) / name).exists():
                link.symlink_to(Path(place) / name)
    return directory


@pytest.fixture
def client(tmp_path: Path) -> Path:
    """Return a scripted ``dagger`` command with an engine behind it."""
    plan = tmp_path / "plan.json"
    plan.write_text("{}")
    return install(tmp_path, plan)


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[str]:
    """Return the address of something that listens as an engine would."""
    path = tmp_path / "engine.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        yield f"unix://{path}"


def test_what_auto_chose_says_whether_there_are_checks(tmp_path: Path) -> None:
    none = {"PATH": str(tools(tmp_path)), "_EXPERIMENTAL_DAGGER_CLI_BIN": ""}
    with serving(tmp_path / "data", "--demo", "--backend", "auto", **none) as gateway:
        body = {"github_url": "https://github.com/user/repo", "prompt": "x", "check": "true"}
        answer = gateway.http.post("/runs", json=body)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "check")
        assert gateway.http.get("/runs").json()["runs"] == []
        assert gateway.http.get("/readyz").json()["checks"] is False


def test_auto_is_local_without_a_client(tmp_path: Path) -> None:
    backend, reason = chosen(tmp_path)
    assert backend == "local"
    assert "the dagger command is not on PATH" in reason


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("unix:///nonexistent/engine.sock", "nothing answers at unix:///nonexistent"),
        ("tcp://127.0.0.1:1", "nothing answers at tcp://127.0.0.1:1"),
        ("docker-image://registry.example/engine:v1", "would have to be started"),
        ("image://registry.example/engine:v1", "would have to be started"),
        ("", "none runs"),
    ],
)
def test_auto_is_local_without_an_engine(tmp_path: Path, client: Path, host: str, why: str) -> None:
    backend, reason = chosen(
        tmp_path,
        _EXPERIMENTAL_DAGGER_CLI_BIN=str(client),
        _EXPERIMENTAL_DAGGER_RUNNER_HOST=host,
    )
    assert backend == "local"
    assert why in reason


def test_auto_is_local_where_something_listens_that_is_no_engine(
    tmp_path: Path, client: Path, listening: str
) -> None:
    (tmp_path / "plan.json").write_text('{"engine": false}')
    backend, reason = chosen(
        tmp_path,
        _EXPERIMENTAL_DAGGER_CLI_BIN=str(client),
        _EXPERIMENTAL_DAGGER_RUNNER_HOST=listening,
    )
    assert backend == "local"
    assert "there is none" in reason


def test_auto_takes_an_engine_that_answers(tmp_path: Path, client: Path, listening: str) -> None:
    backend, reason = chosen(
        tmp_path,
        _EXPERIMENTAL_DAGGER_CLI_BIN=str(client),
        _EXPERIMENTAL_DAGGER_RUNNER_HOST=listening,
    )
    assert backend == "dagger"
    assert reason.startswith("chosen by auto")


def test_auto_takes_a_container_that_runs_and_starts_none(tmp_path: Path, client: Path) -> None:
    calls = tmp_path / "docker-calls"
    docker = tools(tmp_path) / "docker"
    docker.write_text(f'#!/bin/sh\necho "$@" >> {calls}\necho other\necho dagger-engine-v0.21.8\n')
    docker.chmod(0o755)
    backend, _ = chosen(tmp_path, _EXPERIMENTAL_DAGGER_CLI_BIN=str(client))
    assert backend == "dagger"
    assert calls.read_text() == "ps --format {{.Names}}\n"


def test_a_backend_that_was_asked_for_is_taken(tmp_path: Path) -> None:
    assert chosen(tmp_path, "--backend", "dagger")[0] == "dagger"
    assert chosen(tmp_path, "--backend", "local")[0] == "local"
