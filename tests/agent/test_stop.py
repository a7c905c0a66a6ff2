"""Told to stop at any moment, it ends once and properly."""

import random
import signal
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from aideator.protocol import CancelledEvent, parse_line
from aideator_gateway.scripted_model.script import Reply, Text, ToolUse
from aideator_gateway.scripted_model.server import Script, ScriptedModel
from tests.agent.conftest import Play
from tests.agent.sandbox import Sandbox

CREATE = ToolUse(
    "str_replace_based_edit_tool", {"command": "create", "path": "new.txt", "file_text": "new\n"}
)


# Something is written, and then the model goes on for half a minute.
REPLIES: list[Reply] = [[CREATE], [Text("slow " * 600, pace=0.05)]]


def stop(directory: Path, how: str, seconds: float) -> None:
    """Tell an agent to stop, ``seconds`` after its start, and look at how it ends."""
    sandbox = Sandbox(directory, {"README.md": "# Tea\n"})
    with ScriptedModel(Script(default=REPLIES)) as model:
        process = sandbox.start(model.base_url, options=("--watch-stdin",))
        if how == "signal":
            # Before its first line it is Python that starts, and would hear no signal.
            first = sandbox.output / "transcript.jsonl"
            while not (first.exists() and first.stat().st_size):
                time.sleep(0.005)
        time.sleep(seconds)
        sandbox.tell_to_stop(process, how)
        # One ending, seq without gaps: that is looked at for every run.
        outcome = sandbox.finish(process, seconds=20)
    what = (how, seconds, outcome)
    assert outcome.exit_code == 0, what
    assert outcome.stderr == "", what
    assert isinstance(outcome.end, CancelledEvent), what
    assert outcome.events[-2] == outcome.patch, what
    assert [parse_line(line) for line in outcome.stdout.splitlines()] == outcome.events, what
    wrote = (sandbox.workspace / "new.txt").exists()
    assert outcome.patch.files == int(wrote), what
    assert (outcome.output / "changes.patch").read_bytes() == outcome.patch.content(), what


def stop_all(directory: Path, moments: Iterable[float], at_once: int) -> None:
    with ThreadPoolExecutor(at_once) as pool:
        told = [
            pool.submit(stop, directory / str(n), ("signal", "stdin")[n % 2], seconds)
            for n, seconds in enumerate(moments)
        ]
        for each in told:
            each.result()


def test_told_to_stop_at_any_moment_it_ends_properly(tmp_path: Path) -> None:
    # Closest where it starts, which is imports above all.
    stop_all(tmp_path, [3 * (n / 20) ** 1.7 for n in range(20)], at_once=4)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(15))
def test_and_at_hundreds_of_moments_too(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311  # No secret hangs on it.
    stop_all(tmp_path, [chance.uniform(0, 3) for _ in range(20)], at_once=2)


# Stands for a library that is slow to import, and that makes its own of whatever is raised in it.
SLOW_IMPORT = """
import sys, time

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "httpx2":
            try:
                print("waiting", file=sys.stderr, flush=True)
                time.sleep(30)
            except BaseException as error:
                raise ImportError("no schema can be built") from error

sys.meta_path.insert(0, Finder())
"""

# Stands for a name server that does not answer.
SLOW_LOOKUP = """
import socket, sys, time

def wait(*arguments, **named):
    print("waiting", file=sys.stderr, flush=True)
    time.sleep(30)

socket.getaddrinfo = wait
"""


@pytest.mark.parametrize("how", ["signal", "stdin"])
@pytest.mark.parametrize("slow", [SLOW_IMPORT, SLOW_LOOKUP], ids=["import", "lookup"])
def test_what_the_process_waits_for_neither_delays_nor_swallows_it(
    sandbox: Sandbox, slow: str, how: str
) -> None:
    added = sandbox.directory / "added"
    added.mkdir()
    (added / "sitecustomize.py").write_text(slow)
    process = sandbox.start(
        "http://model.invalid",
        options=("--watch-stdin",),
        environment={"PYTHONPATH": str(added)},
    )
    assert process.stderr
    assert process.stderr.readline() == b"waiting\n"
    sandbox.tell_to_stop(process, how)
    outcome = sandbox.finish(process, seconds=15)
    assert outcome.exit_code == 0
    assert outcome.stderr == ""
    assert isinstance(outcome.end, CancelledEvent)
    assert [parse_line(line) for line in outcome.stdout.splitlines()] == outcome.events


def test_ctrl_c_stops_it_too(sandbox: Sandbox, play: Play) -> None:
    process = sandbox.start(play(*REPLIES).base_url)
    assert process.stdout
    while b"slow" not in process.stdout.readline():
        pass
    process.send_signal(signal.SIGINT)
    outcome = sandbox.finish(process, seconds=20)
    assert outcome.exit_code == 0
    assert outcome.stderr == ""
    assert isinstance(outcome.end, CancelledEvent)
    assert outcome.patch.files == 1


def test_told_to_stop_when_it_has_ended_it_stays_as_it_was(sandbox: Sandbox, play: Play) -> None:
    process = sandbox.start(play([Text("Done.")]).base_url)
    assert process.stdout
    while b'"completed"' not in process.stdout.readline():
        pass
    while process.poll() is None:
        process.terminate()
    outcome = sandbox.finish(process, seconds=20)
    assert outcome.exit_code == 0
    assert outcome.stderr == ""
    assert outcome.completed
