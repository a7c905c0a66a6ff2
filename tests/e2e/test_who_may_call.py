"""Loopback by default; anything else needs a token; pages need to be named."""

import subprocess
from pathlib import Path

from tests.support.gateways import COMMAND, environment, serving


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


def test_a_named_origin_may_call_from_its_page(tmp_path: Path) -> None:
    page = "http://localhost:5173"
    flags = ("--demo", "--backend", "local", "--allow-origin", page)
    with serving(tmp_path / "data", *flags) as gateway:
        preflight = gateway.http.options(
            "/runs",
            headers={
                "Origin": page,
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "content-type",
            },
        )
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == page
        answer = gateway.http.get("/runs", headers={"Origin": page})
        assert answer.headers["access-control-allow-origin"] == page
        refused = gateway.http.get("/runs", headers={"Origin": "http://localhost:5174"})
        assert refused.status_code == 403


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
