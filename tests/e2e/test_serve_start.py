"""How ``aideator serve`` starts: alone on its directory, or with one line that says why not."""

import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.command import error_of
from tests.support.gateways import COMMAND, environment, serving

DEMO = ("--demo", "--backend", "local")


def test_the_one_that_serves_is_named_to_the_second(tmp_path: Path) -> None:
    with serving(tmp_path / "data", *DEMO) as gateway:
        said = error_of("serve", *DEMO, "--port", "0", "--data-dir", str(gateway.data_dir),
                        cwd=tmp_path)  # fmt: skip
        assert said.startswith("Another gateway is using the data directory")
        assert f"(process {gateway.process.pid}, {gateway.url})" in said
        # The first one's address is still there for commands.
        assert (gateway.data_dir / "server.json").exists()


def test_of_many_that_start_to_serve_at_once_one_does(tmp_path: Path) -> None:
    started = [
        subprocess.Popen(
            [COMMAND, "serve", *DEMO, "--port", "0", "--data-dir", str(tmp_path / "data")],
            env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True,
        )
        for _ in range(4)
    ]  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while sum(p.poll() is None for p in started) > 1:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        (serving_one,) = [p for p in started if p.poll() is None]
        while not (tmp_path / "data" / "server.json").exists():
            assert time.monotonic() < deadline
            assert serving_one.poll() is None
            time.sleep(0.05)
        serving_one.terminate()
        for process in started:
            _, said = process.communicate(timeout=30)
            if process is not serving_one:
                assert process.returncode == 1
                assert re.fullmatch(r"Error: Another gateway is using .*\n", said)
    finally:
        for process in started:
            if process.poll() is None:
                process.kill()
                process.communicate()


def test_a_port_that_is_taken_is_told_before_anything_is_opened(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        said = error_of("serve", *DEMO, "--port", port, "--data-dir", "data", cwd=tmp_path)
    assert said == (
        f"Cannot listen on 127.0.0.1 port {port} (Address already in use): stop what uses it, "
        "or name another with --port (0 takes a free one)."
    )
    assert not (tmp_path / "data" / "aideator.db").exists()


@contextmanager
def opening(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a gateway that asks an engine which does not answer, and wait until it does."""
    client = tmp_path / "dagger"
    client.write_text(f"#!/bin/sh\ntouch {tmp_path}/asked\nexec sleep 60\n")
    client.chmod(0o755)
    with socket.socket(socket.AF_UNIX) as engine:
        engine.bind(str(tmp_path / "engine.sock"))
        engine.listen()
        process = subprocess.Popen(
            [COMMAND, "serve", "--port", "0", "--data-dir", str(tmp_path / "data")],
            env=environment(
                _EXPERIMENTAL_DAGGER_CLI_BIN=str(client),
                _EXPERIMENTAL_DAGGER_RUNNER_HOST=f"unix://{tmp_path}/engine.sock",
            ),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            deadline = time.monotonic() + 60
            while not (tmp_path / "asked").exists():
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.02)
            yield process
        finally:
            if process.poll() is None:
                process.kill()
                process.communicate()


def test_a_gateway_that_is_told_to_end_while_it_starts_ends_in_order(tmp_path: Path) -> None:
    for number, code in ((signal.SIGTERM, -signal.SIGTERM), (signal.SIGINT, 130)):
        with opening(tmp_path) as process:
            process.send_signal(number)
            _, said = process.communicate(timeout=60)
        assert process.returncode == code
        assert "Traceback" not in said
        assert "listening" not in said
        left = {entry.name for entry in (tmp_path / "data").iterdir()}
        assert left == {"aideator.db", "aideator.lock", "gateways"}
        assert [entry.name for entry in (tmp_path / "data" / "gateways").glob("*.json")] == []
        (tmp_path / "asked").unlink()
        (tmp_path / "engine.sock").unlink()
