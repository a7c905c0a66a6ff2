"""Loopback by default; anything else needs a token; pages need to be named."""

import contextlib
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateways import COMMAND, Gateway, environment, serving


def test_no_other_address_without_a_token(tmp_path: Path) -> None:
    done = subprocess.run(
        [COMMAND, "serve", "--host", "0.0.0.0", "--data-dir", str(tmp_path / "data")],  # noqa: S104
        env=environment(),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert "AIDEATOR_TOKEN" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_token_is_asked_of_everybody(tmp_path: Path) -> None:
    with serving(tmp_path / "data", "--demo", "--backend", "local", token="right") as gateway:  # noqa: S106
        http = gateway.http
        assert http.get("/runs").status_code == 200
        for wrong in ("", "Bearer", "Bearer wrong", "Basic right", "right"):
            answer = http.get("/runs", headers={"Authorization": wrong})
            assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
            assert answer.headers["www-authenticate"] == "Bearer"
        assert http.get("/healthz", headers={"Authorization": ""}).status_code == 200
    assert "right" not in (tmp_path / "data.log").read_text()


PAGE = "http://localhost:5173"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Return a gateway with a token that pages of one origin may call."""
    data_dir = tmp_path_factory.mktemp("gateway") / "data"
    flags = ("--demo", "--backend", "local", "--allow-file", "--allow-origin", PAGE)
    with serving(data_dir, *flags, token="right") as gateway:  # noqa: S106 - a made-up one
        gateway.http.headers["Origin"] = PAGE
        yield gateway


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("path", ["/runs", "/runs/run_none/stream"])
def test_a_named_origin_is_told_before_it_calls_what_it_may_send(
    gateway: Gateway, method: str, path: str
) -> None:
    preflight = gateway.http.options(
        path,
        headers={
            "Authorization": "",
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": (
                "authorization,content-type,idempotency-key,last-event-id"
            ),
            "Access-Control-Request-Private-Network": "true",
        },
    )
    assert preflight.status_code == 200, preflight.text
    assert preflight.headers["access-control-allow-origin"] == PAGE
    assert method in preflight.headers["access-control-allow-methods"]
    assert preflight.headers["access-control-allow-private-network"] == "true"


@pytest.mark.parametrize(
    ("status", "method", "path", "request_"),
    [
        (200, "GET", "/runs", {}),
        (200, "GET", "/healthz", {}),
        (202, "POST", "/runs", {"json": {"github_url": "file:///nowhere", "prompt": "x"}}),
        (400, "POST", "/runs", {"content": b"[]", "headers": {"Content-Type": "application/json"}}),
        (400, "GET", "/runs", {"headers": {"Host": "evil.example"}}),
        (401, "GET", "/runs", {"headers": {"Authorization": "Bearer wrong"}}),
        (404, "GET", "/nothing", {}),
        (405, "PUT", "/runs", {}),
        (413, "POST", "/runs", {"json": {"prompt": "x" * 1024 * 1024}}),
        (415, "POST", "/runs", {"content": b"x", "headers": {"Content-Type": "text/plain"}}),
        (422, "POST", "/runs", {"json": {}}),
    ],
)
def test_a_named_origin_can_read_every_answer(
    gateway: Gateway, status: int, method: str, path: str, request_: dict[str, Any]
) -> None:
    answer = gateway.http.request(method, path, **request_)
    assert answer.status_code == status, answer.text
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert answer.headers["vary"] == "Origin"
    exposed = answer.headers["access-control-expose-headers"].split(", ")
    assert {"Location", "Idempotent-Replayed"} <= set(exposed)


def test_a_named_origin_can_read_that_the_database_cannot_be_used(tmp_path: Path) -> None:
    flags = ("--demo", "--backend", "local", "--allow-origin", PAGE)
    with serving(tmp_path / "data", *flags) as gateway:
        with contextlib.closing(sqlite3.connect(tmp_path / "data" / "aideator.db")) as database:
            database.execute("ALTER TABLE run RENAME TO lost")
        answer = gateway.http.get("/runs", headers={"Origin": PAGE})
        assert (answer.status_code, answer.json()["code"]) == (503, "storage_unavailable")
        assert answer.headers["access-control-allow-origin"] == PAGE


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_another_origin_can_read_nothing(gateway: Gateway, method: str) -> None:
    answer = gateway.http.request(
        method,
        "/runs",
        headers={"Origin": "http://localhost:5174", "Access-Control-Request-Method": "POST"},
    )
    assert (answer.status_code, answer.json()["code"]) == (403, "origin_not_allowed")
    assert not [name for name in answer.headers if name.startswith("access-control-")]


def test_a_trusted_host_is_taken(tmp_path: Path) -> None:
    flags = ("--demo", "--backend", "local", "--trusted-host", "ideas.example")
    with serving(tmp_path / "data", *flags) as gateway:
        answer = gateway.http.get("/runs", headers={"Host": "ideas.example:80"})
        assert answer.status_code == 200


def test_a_port_that_is_taken_is_one_line(tmp_path: Path) -> None:
    with serving(tmp_path / "data", "--demo", "--backend", "local") as gateway:
        port = gateway.url.rsplit(":", 1)[1]
        done = subprocess.run(
            [COMMAND, "serve", "--demo", "--port", port, "--data-dir", str(tmp_path / "other")],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert "--port" in done.stderr
