"""Where the model's key is while agents work in an engine whose processes can be looked at.

An engine that runs natively on this machine shows its containers' processes to root. What is
looked for is a key that nobody else has; that the look finds what is there, something shows that
has to be there.
"""

import json
import os
import secrets
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from aideator_gateway.scripted_model.script import Hang, Text
from aideator_gateway.scripted_model.server import Script, ScriptedModel
from tests.engine.module import Module, forms
from tests.engine.session import RUNNER_HOST
from tests.support.gateways import Gateway, serving
from tests.support.processes import argument_lists, environment_of, memory, open_files

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]

SECONDS = 200.0


def parents() -> dict[int, int]:
    """Return the parent of each process."""
    found = {}
    for number in argument_lists():
        with suppress(OSError):
            stat = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
            found[number] = int(stat[1])
    return found


def engines_processes() -> list[int]:
    """Return the engine, the one that listens at its address, and all that descends from it."""
    path = os.environ.get(RUNNER_HOST, "").removeprefix("unix://")
    lines = Path("/proc/net/unix").read_text().splitlines()
    inodes = {line.split()[6] for line in lines if line.split()[-1] == path}
    own = [number for number in argument_lists() if inodes & set(_sockets(number))]
    if not own:
        pytest.skip("the engine's processes cannot be seen from here")
    known = parents()
    found = [*own]
    for number in found:
        found += [child for child, parent in known.items() if parent == number]
    return found


def _sockets(process: int) -> Iterator[str]:
    with suppress(OSError):
        for entry in Path(f"/proc/{process}/fd").iterdir():
            with suppress(OSError):
                name = str(entry.readlink())
                if name.startswith("socket:["):
                    yield name[8:-1]


def agents_of(run: str) -> list[int]:
    """Return the processes of a run's agents: Python, and what starts and bounds it."""
    found = []
    for number, argv in argument_lists().items():
        with suppress(OSError):
            if b"aideator.agent" in argv and environment_of(number).get("AIDEATOR_RUN_ID") == run:
                found.append(number)
    return found


@contextmanager
def stopped(processes: list[int]) -> Iterator[None]:
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGCONT)


def everything_of(process: int) -> bytes:
    """Return what a process has in memory, its environment, arguments and open files."""
    found = memory(process)
    for name in ("environ", "cmdline"):
        found += Path(f"/proc/{process}/{name}").read_bytes()
    return found + open_files(process)


def wait(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def talk() -> Script:
    return Script(default=[[Text("word " * 2000, pace=0.05), Hang()]])


def holders(processes: list[int], *looks: list[bytes]) -> list[list[int]]:
    """Return, for each of the lists of texts, the processes in which one of them is."""
    found: list[list[int]] = [[] for _ in looks]
    for process in processes:
        try:
            content = everything_of(process)
        except (FileNotFoundError, ProcessLookupError):
            continue  # It has ended since.
        for marks, holding in zip(looks, found, strict=True):
            if any(mark in content for mark in marks):
                holding.append(process)
    return found


def test_no_agent_of_a_dagger_call_has_the_key(module: Module) -> None:
    engines_processes()
    key = f"sk-ant-{secrets.token_hex(16)}"
    run = f"run_{secrets.token_hex(6)}"
    settings = {"apiKey": module.session.secret(f"key of {run}", key)}
    limits = json.dumps({"max_seconds": 120})
    with ScriptedModel(talk()) as model:

        def ask() -> None:
            # It ends with the limit, or with the session.
            with suppress(Exception):
                module.run("summary", model.base_url, variations=2, runId=run, limits=limits,
                           settings=settings)  # fmt: skip

        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        wait(lambda: {r.variation for r in model.requests if r.run == run} == {1, 2})
        agents = agents_of(run)
        with stopped(agents):
            contents = [everything_of(agent) for agent in agents]
        # Both agents were there to be looked at: only they know the run.
        assert sum(run.encode() in content for content in contents) >= 2
        assert [mark for mark in forms(key) for content in contents if mark in content] == []
        assert {r.headers["authorization"] for r in model.requests} == {f"Bearer {key}"}
        for agent in agents:
            with suppress(ProcessLookupError):
                os.kill(agent, signal.SIGKILL)
        asking.join(SECONDS)


def test_a_broker_that_dies_ends_attempts_of_a_dagger_call_with_a_code(module: Module) -> None:
    engines_processes()
    key = f"sk-ant-{secrets.token_hex(16)}"
    run = f"run_{secrets.token_hex(6)}"
    settings = {"apiKey": module.session.secret(f"key of {run}", key)}
    limits = json.dumps({"max_seconds": 600, "max_retries": 1})
    found: list[Any] = []
    with ScriptedModel(talk()) as model:

        def ask() -> None:
            fields = "variations{status errorCode message}"
            given = {"variations": 2, "runId": run, "limits": limits, "settings": settings}
            found.extend(module.run(fields, model.base_url, **given)["variations"])

        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        wait(lambda: {r.variation for r in model.requests if r.run == run} == {1, 2})
        brokers = [n for n, argv in argument_lists().items() if b"aideator.broker" in argv]
        # Others may have theirs in this engine.
        (own,) = (n for n in brokers if key.encode() in memory(n))
        os.kill(own, signal.SIGKILL)
        asking.join(SECONDS)
    assert [one["status"] for one in found] == ["failed"] * 2
    # The agent says so by itself, or the engine has taken its container away by then.
    codes = {one["errorCode"] for one in found}
    assert codes <= {"connection_failed", "stream_broken", "sandbox_failed"}, found


@contextmanager
def gateway_with(data: Path, model: ScriptedModel, key: str) -> Iterator[Gateway]:
    with serving(
        data, "--backend", "dagger", "--allow-file", "--base-url", model.base_url,
        ANTHROPIC_API_KEY=key,
    ) as gateway:  # fmt: skip
        wait(lambda: bool(gateway.http.get("/readyz").json()["ready"]))
        yield gateway


def test_with_the_gateway_nothing_of_the_engine_s_has_the_key(
    engine: None,  # noqa: ARG001 - skips
    shared_repository: Path,
    tmp_path: Path,
) -> None:
    engines_processes()
    key = f"sk-ant-{secrets.token_hex(16)}"
    marks = forms(key)
    started = time.time()
    with ScriptedModel(talk()) as model, gateway_with(tmp_path / "data", model, key) as gateway:
        run = gateway.create(github_url=shared_repository.as_uri(), variations=2)
        wait(lambda: {r.variation for r in model.requests if r.run == run} == {1, 2})
        processes = engines_processes()
        agents = agents_of(run)
        assert set(agents) <= set(processes)
        with stopped(agents):
            having, knowing = holders(processes, marks, [run.encode()])
        assert having == []
        # Of the run they know, to the same look: the engine itself, and the agents.
        assert processes[0] in knowing
        assert len(set(agents) & set(knowing)) >= 2
        client = [n for n, argv in argument_lists().items() if b"dagger\0session" in argv]
        assert holders(client, marks) == [[]]
        keys: set[Any] = {r.headers["authorization"] for r in model.requests}
        assert keys == {f"Bearer {key}"}
        assert gateway.http.post(f"/runs/{run}/cancel", json={}).status_code == 200
    # Nor is it in what the engine has written meanwhile: layers, its database, its log.
    words = argument_lists()[processes[0]].split(b"\0")
    root = Path(os.fsdecode(words[words.index(b"--root") + 1]))
    written = [file for file in root.rglob("*") if _written_since(file, started)]
    assert written
    found = []
    for file in written:
        with suppress(OSError):
            content = file.read_bytes()
            found += [file for mark in marks if mark in content]
    assert found == []


def _written_since(file: Path, started: float) -> bool:
    with suppress(OSError):
        return file.is_file() and not file.is_symlink() and file.stat().st_mtime >= started
    return False
