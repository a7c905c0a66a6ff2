"""The broker beside a gateway: hosted, found again after its death, and gone with the gateway."""

import os
import signal
import socket
import tempfile
import time
from pathlib import Path

import pytest

from aideator_gateway.scripted_model.script import Reply, Text, Wait
from aideator_gateway.scripted_model.server import Script, ScriptedModel
from tests.support.gateways import serving
from tests.support.processes import brokers_of
from tests.support.repositories import make_repository
from tests.support.talking import talking_gateway, wait


def test_a_broker_that_dies_costs_attempts_a_try_and_no_more(
    shared_repository: Path, tmp_path: Path
) -> None:
    said: list[Reply] = [[Text("one two ", pace=0.05), Wait(4.0), Text("three")]] * 4
    with talking_gateway(tmp_path / "data", replies=said, serving=serving) as gateway:
        run_id = gateway.create(github_url=shared_repository.as_uri(), variations=3)
        killed, retries = 0, set()
        for event in gateway.stream(run_id):
            if '"agent_output"' in event.data and not killed:
                (killed,) = brokers_of(gateway.process.pid)
                os.kill(killed, signal.SIGKILL)
            if '"retry"' in event.data:
                retries.add(event.data)
        assert [v["status"] for v in gateway.run(run_id)["variations"]] == ["completed"] * 3
        assert killed
        assert retries, [event.data for event in gateway.stream(run_id)]
        (again,) = brokers_of(gateway.process.pid)
        assert again != killed
        assert "the model broker was killed by signal 9" in gateway.log.read_text()


def test_a_broker_that_dies_is_started_again_at_the_same_address(short: Path) -> None:
    with talking_gateway(short / "data", serving=serving) as gateway:
        (path,) = (gateway.data_dir / "gateways").glob("*.sock")
        wait(lambda: bool(brokers_of(gateway.process.pid)))
        for _ in range(2):
            (broker,) = brokers_of(gateway.process.pid)
            os.kill(broker, signal.SIGKILL)
            # Who calls meanwhile waits for the next one.
            with socket.socket(socket.AF_UNIX) as caller:
                caller.settimeout(30)
                caller.connect(str(path))
                caller.sendall(b"GET /healthz HTTP/1.1\r\nhost: broker\r\n\r\n")
                assert b"200 OK" in caller.recv(1000)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_broker_outlives_its_gateway(short: Path, number: signal.Signals) -> None:
    with talking_gateway(short / "data", serving=serving) as gateway:
        wait(lambda: bool(brokers_of(gateway.process.pid)))
        (broker,) = brokers_of(gateway.process.pid)
        (path,) = (gateway.data_dir / "gateways").glob("*.sock")
        gateway.stop(number)
        wait(lambda: not Path(f"/proc/{broker}").exists(), 5)
        assert path.exists() is (number is signal.SIGKILL)
    # What a gateway that was killed left is removed by the next one.
    with talking_gateway(short / "data", serving=serving):
        wait(lambda: not path.exists(), 20)


def test_a_gateway_that_is_gone_soon_starts_no_broker(tmp_path: Path) -> None:
    with talking_gateway(tmp_path / "data", serving=serving) as gateway:
        assert gateway.http.get("/runs").status_code == 200
        assert brokers_of(gateway.process.pid) == []


def test_the_socket_is_elsewhere_where_its_path_would_be_too_long(tmp_path: Path) -> None:
    data_dir = tmp_path / ("long" * 25) / "data"
    repository = make_repository(tmp_path / "repository")
    temporary = Path(tempfile.mkdtemp(prefix="t-"))
    try:
        with (
            ScriptedModel(Script(default=[[Text("Done.")]])) as model,
            serving(
                _made(data_dir), "--backend", "local", "--allow-file", "--base-url", model.base_url,
                TMPDIR=str(temporary),
            ) as gateway,
        ):  # fmt: skip
            run = gateway.finish(gateway.create(github_url=repository.as_uri(), variations=1))
            assert run["status"] == "completed"
            (private,) = temporary.glob("aideator-gw_*")
            assert private.stat().st_mode & 0o777 == 0o700
            assert (private / "model.sock").stat().st_mode & 0o777 == 0o600
        assert list(temporary.glob("aideator-gw_*")) == []
    finally:
        temporary.rmdir()


def _made(data_dir: Path) -> Path:
    data_dir.parent.mkdir(parents=True)
    return data_dir


def test_a_run_right_after_the_start_does_not_wait_for_the_broker_to_be_due(
    shared_repository: Path, tmp_path: Path
) -> None:
    with talking_gateway(tmp_path / "data", replies=[[Text("Done.")]], serving=serving) as gateway:
        started = time.monotonic()
        gateway.create(github_url=shared_repository.as_uri(), variations=1)
        wait(lambda: bool(brokers_of(gateway.process.pid)), 1.5)
        assert time.monotonic() - started < 1.5
