"""Checks that mean harm: each is a finding, and disturbs neither siblings nor the gateway.

Every command stops at once where it is not in a sandbox.
"""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aideator_gateway.backends.local.checks import Checks
from aideator_gateway.backends.local.tree import Tree
from aideator_gateway.runs.model import CheckResult
from aideator_gateway.scripted_model.script import Text
from aideator_gateway.scripted_model.server import Script, ScriptedModel
from aideator_gateway.settings import Settings
from tests.support.checks import DEMO, check_of, guarded, need_bubblewrap
from tests.support.forked import serving
from tests.support.gateways import Gateway
from tests.support.processes import argument_lists
from tests.support.programs import path_without

KEY = "sk-ant-canary-9876543210"
TOKEN = "token-canary-9876543210"  # noqa: S105 - opens nothing


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Return a gateway whose checks may take three seconds."""
    data_dir = tmp_path_factory.mktemp("checks") / "data"
    with serving(data_dir, *DEMO, "--check-seconds", "3") as gateway:
        need_bubblewrap(gateway)
        yield gateway


def checked(gateway: Gateway, repository: Path, command: str, variations: int = 1) -> Any:
    run_id = gateway.create(
        github_url=repository.as_uri(), variations=variations, check=guarded(gateway, command)
    )
    run = gateway.finish(run_id)
    assert run["status"] == "completed"
    # Whatever a check does, the patch that was taken before it is the agent's.
    patch = gateway.http.get(f"/runs/{run_id}/variations/1/patch")
    assert (patch.status_code, len(patch.content)) == (200, run["variations"][0]["patch"]["bytes"])
    assert gateway.http.get("/readyz").status_code == 200
    return check_of(run)


def test_one_that_takes_too_long_is_stopped_though_it_ignores_signals(
    gateway: Gateway, shared_repository: Path
) -> None:
    command = "trap '' TERM INT HUP; echo begun; while :; do sleep 1; done"
    check = checked(gateway, shared_repository, command)
    assert (check["exit_code"], check["passed"]) == (None, False)
    assert check["output"] == "begun\nIt was stopped: it took longer than 3 s."
    assert 2.9 < check["seconds"] < 20


def test_what_it_leaves_running_holds_up_nothing_and_goes_with_it(
    gateway: Gateway, shared_repository: Path
) -> None:
    mark = "98765.4321"
    command = f"setsid sleep {mark} & setsid sleep {mark} </dev/null >/dev/null 2>&1 & echo left"
    check = checked(gateway, shared_repository, command)
    assert (check["exit_code"], check["output"]) == (0, "left\n")
    deadline = time.monotonic() + 30
    while any(mark.encode() in words.split(b"\0") for words in argument_lists().values()):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_of_a_gigabyte_of_output_the_end_is_kept(tmp_path: Path, shared_repository: Path) -> None:
    with serving(tmp_path / "data", *DEMO) as gateway:
        need_bubblewrap(gateway)
        command = "head -c 1000000000 /dev/zero | tr '\\0' 'x'; echo; echo last"
        check = checked(gateway, shared_repository, command)
    assert check["passed"]
    assert len(check["output"]) == 4000
    assert check["output"].endswith("xxx\nlast\n")


def test_its_processes_are_limited_in_number(gateway: Gateway, shared_repository: Path) -> None:
    command = (
        'exec python3 -c "\nimport os, signal, time\ncount = 0\ntry:\n'
        "    while count < 1500:\n"
        "        if os.fork() == 0:\n            time.sleep(60)\n"
        '        count += 1\nexcept OSError:\n    pass\nprint(count)\n"'
    )
    check = checked(gateway, shared_repository, command)
    assert check["exit_code"] == 0, check
    assert 500 < int(check["output"]) <= 1024


def test_its_memory_and_its_files_are_limited(gateway: Gateway, shared_repository: Path) -> None:
    command = "python3 -c 'bytearray(5 << 30)'; truncate -s 9G big"
    check = checked(gateway, shared_repository, command)
    assert "MemoryError" in check["output"]
    assert "File too large" in check["output"] or check["exit_code"] == 153


def test_it_can_delete_what_is_its_own_and_nothing_else(
    gateway: Gateway, shared_repository: Path
) -> None:
    command = 'touch /usr/made /etc/made "$0"; cd ..; rm -rf repo home tmp; ls -A; echo gone'
    check = checked(gateway, shared_repository, command)
    assert check["exit_code"] == 0
    assert check["output"].count("cannot touch") >= 2
    assert check["output"].endswith("gone\n")
    assert not Path("/usr/made").exists()


def test_one_that_kills_all_it_can_see_kills_its_own_alone(
    gateway: Gateway, shared_repository: Path
) -> None:
    # In a namespace of its own nobody has a high number.
    command = "[ $$ -lt 100 ] || exit 98; kill -KILL -1; echo alone"
    check = checked(gateway, shared_repository, command)
    assert check["exit_code"] in (0, 137)


def test_it_finds_no_secret_and_nothing_of_the_gateway(
    shared_repository: Path, tmp_path: Path
) -> None:
    with (
        ScriptedModel(Script({}, default=[[Text("Nothing to do.")]])) as model,
        serving(
            tmp_path / "data", "--backend", "local", "--allow-file", "--base-url", model.base_url,
            token=TOKEN, ANTHROPIC_API_KEY=KEY,
        ) as gateway,
    ):  # fmt: skip
        need_bubblewrap(gateway)
        command = (
            f"env; cat /proc/*/environ; ls -A {gateway.data_dir} {gateway.data_dir}/work/*; "
            f"cat {gateway.data_dir}/aideator.db; ls -d /proc/{gateway.process.pid}; ls -A ~; "
            f"printf '%s%s\\n' {KEY[:9]} {KEY[9:]}"
        )
        check = checked(gateway, shared_repository, command)
    said = check["output"]
    assert KEY not in said
    assert TOKEN not in said
    assert said.endswith("***\n")
    assert f"HOME={gateway.data_dir}" in said
    for hidden in (f"{gateway.data_dir}/aideator.db", f"/proc/{gateway.process.pid}"):
        assert f"'{hidden}': No such file" in said or f"{hidden}: No such file" in said
    # Of the data directory there is the way to its own place.
    assert "server.json" not in said
    assert "task.json" not in said


@pytest.fixture
def listener() -> Iterator[tuple[int, list[str]]]:
    """Return a port of this machine's loopback, and who has called."""
    callers: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                callers.append("called")
                connection.close()

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield server.getsockname()[1], callers
        server.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def calling(port: int) -> str:
    return f"python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", {port}), 5)'"


def test_it_cannot_reach_the_network(
    gateway: Gateway, shared_repository: Path, listener: tuple[int, list[str]]
) -> None:
    port, callers = listener
    check = checked(gateway, shared_repository, calling(port))
    assert check["exit_code"] == 1
    assert "ConnectionRefusedError" in check["output"]
    assert callers == []


def test_it_reaches_the_network_where_the_operator_allows_it(
    tmp_path: Path, shared_repository: Path, listener: tuple[int, list[str]]
) -> None:
    port, callers = listener
    with serving(tmp_path / "data", *DEMO, "--check-network") as gateway:
        need_bubblewrap(gateway)
        check = checked(gateway, shared_repository, calling(port))
    assert check["passed"], check
    assert callers == ["called"]


def test_it_has_a_loopback_temp_and_shared_memory_of_its_own(
    gateway: Gateway, shared_repository: Path
) -> None:
    command = (
        'touch /tmp/made "$TMPDIR/made" /dev/shm/made ~/made made && exec python3 -c "\n'
        "import socket\nserver = socket.create_server(('127.0.0.1', 0))\n"
        'socket.create_connection(server.getsockname(), 5)\n"'
    )
    check = checked(gateway, shared_repository, command)
    assert check["passed"], check


def test_it_can_read_a_directory_that_the_operator_names(
    tmp_path: Path, shared_repository: Path
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "greet").write_text("#!/bin/sh\necho hello\n")
    (tools / "greet").chmod(0o755)
    command = f"{tools}/greet; touch {tools}/made"
    for flags, said in (((), "not found"), (("--check-path", str(tools)), "hello")):
        with serving(tmp_path / "data", *DEMO, *flags) as gateway:
            need_bubblewrap(gateway)
            check = checked(gateway, shared_repository, command)
        assert said in check["output"]
        assert check["exit_code"] == 1
    assert not (tools / "made").exists()


def test_a_sibling_is_not_disturbed(gateway: Gateway, shared_repository: Path) -> None:
    run_id = gateway.create(
        github_url=shared_repository.as_uri(), variations=3,
        # The trees are in directories of their own number; the first never ends.
        check=guarded(gateway, 'case "$PWD" in *check1*) sleep 60;; esac; echo fine'),
    )  # fmt: skip
    run = gateway.finish(run_id)
    assert [check_of(run, n)["exit_code"] for n in (1, 2, 3)] == [None, 0, 0]
    assert {v["status"] for v in run["variations"]} == {"completed"}


def test_without_its_sandbox_it_is_not_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", path_without(tmp_path / "bin", "bwrap"))
    made = tmp_path / "made"

    async def scene() -> CheckResult:
        checks = Checks(Settings(data_dir=tmp_path / "data"))
        await checks.start("it is not installed")
        assert checks.problem is not None
        tree, place = Tree(tmp_path / "tree"), tmp_path / "check"
        tree.path.mkdir()
        return await checks.check(f"touch {made}", tree, place, asyncio.Event(), seconds=10)

    result = asyncio.run(scene())
    assert (result.exit_code, result.passed) == (None, False)
    assert result.output.startswith("It could not be run: ")
    assert not made.exists()
