"""Experiments from their file to their results: the command, a gateway, agents of known quality."""

import json
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from aideator_gateway.command.terminal.experiments import dollars
from aideator_gateway.experiments.entries import Planned
from aideator_gateway.experiments.state import State
from aideator_gateway.scripted_model.server import ScriptedModel
from tests.support.command import terminal
from tests.support.forked import error_of, run, serving
from tests.support.known_quality import KnownQuality
from tests.support.labs import COST, FLAGS, Lab
from tests.support.talking import wait


@pytest.fixture
def lab(tmp_path: Path, shared_repository: Path) -> Iterator[Lab]:
    with ScriptedModel(KnownQuality(), record=False) as model:
        yield Lab(tmp_path, shared_repository, model)


def test_every_attempt_is_an_ordinary_run_and_comes_out_as_known(lab: Lab) -> None:
    lab.write(repeats=1)
    done = lab.run()
    assert f"Complete: 4 of 4 attempts done, {dollars(4 * COST)} spent." in done.stdout.decode()
    said = done.stderr.decode()
    assert "0 of 4 attempts done" in said and "4 of 4 attempts done, 0 left" in said
    runs = lab.runs()
    assert len(runs) == 2
    assert {r["status"] for r in runs} == {"completed"}
    assert {v["condition"]["label"] for r in runs for v in r["variations"]} == {"100 %", "50 %"}
    # All start from the same commit, by its id once that is known.
    assert len({r["commit"] for r in runs}) == 1
    (share,) = {r["limits"]["max_cost_usd"] for r in runs}
    assert share == pytest.approx(0.9 * 10 / 4)
    shown = run("show", runs[0]["run_id"], cwd=lab.directory, **lab.settings).stdout.decode()
    assert "passed" in shown

    lab.write(repeats=2)
    words = ("experiment", "plan", "experiment.toml")
    told = run(*words, cwd=lab.directory, **lab.settings).stdout.decode()
    assert "2 tasks x 2 conditions x 2 repeats = 8 attempts, 4 of them done" in told
    assert f"Cost: about {dollars(8 * COST)} in all" in told
    assert f"{dollars(COST)} an attempt, the mean of 2 attempts of this experiment" in told
    assert "It cannot tell: with 2 tasks" in told
    as_json = json.loads(run(*words, "--json", cwd=lab.directory, **lab.settings).stdout)
    assert (as_json["attempts"], as_json["done"], as_json["detectable"]) == (8, 4, None)

    lines = [json.loads(line) for line in lab.run("--json").stdout.splitlines()]
    assert lines[-1]["event"] == "ended" and lines[-1]["complete"]
    assert lines[0]["event"] == "progress" and lines[0]["done"] == 4
    assert lab.results() == {"100 %": [[1, 1], [1, 1]], "50 %": [[0, 1], [0, 1]]}
    assert len(lab.runs()) == 4


def test_killed_and_run_again_it_is_complete(lab: Lab) -> None:
    lab.write(tasks=1, repeats=3)
    for least in (1, 2):
        with lab.started() as process:
            wait(lambda: sum(isinstance(e, Planned) for e in lab.entries) >= least)  # noqa: B023 - at once
            process.kill()
            process.wait()
    lab.run()
    lab.check_each_made_once(6)


def test_ctrl_c_waits_for_what_is_at_work(lab: Lab) -> None:
    # More than is done until Ctrl-C has been heard, however long that takes.
    lab.write(at_once=1, repeats=50)
    words = ("experiment", "run", "experiment.toml", *FLAGS)
    with terminal(*words, cwd=lab.directory, width=120, **lab.settings) as shown:
        shown.read_until("at work")
        assert "Another command carries out this experiment" in error_of(
            *words, cwd=lab.directory, **lab.settings
        )
        shown.type("\x03")
        code = shown.finish()
    assert code == 130
    assert b"Not complete:" in shown.output
    state = State.of(lab.entries)
    assert not state.open
    assert {one.outcome.counts for tries in state.tries.values() for one in tries} == {True}


def test_a_gateway_that_serves_carries_it_out_and_survives_the_command(lab: Lab) -> None:
    lab.write(tasks=1, repeats=3)
    server = {k: v for k, v in lab.settings.items() if k != "AIDEATOR_DATA_DIR"}
    with serving(lab.data, *FLAGS, "--allow-file", **server):
        with lab.started() as process:
            wait(lambda: any(isinstance(entry, Planned) for entry in lab.entries))
            process.send_signal(signal.SIGKILL)
            process.wait()
        with lab.started() as process:
            wait(lambda: sum(isinstance(entry, Planned) for entry in lab.entries) > 1)
            # Told to end, it cancels what is at work.
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) in (130, 0)
        state = State.of(lab.entries)
        assert not state.open
        lab.run()
        lab.check_each_made_once(6)


def test_what_is_wrong_is_said_with_its_line_and_costs_nothing(lab: Lab) -> None:
    file = lab.write()
    file.write_text(file.read_text().replace(str(lab.repository), "nowhere"))
    words = ("experiment", "run", "experiment.toml", *FLAGS)
    error = error_of(*words, cwd=lab.directory, **lab.settings)
    assert error.startswith("experiment.toml:7: defaults.repository: There is no directory ")
    assert not (lab.data / "experiments").exists()


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_sixty_attempts_come_out_as_known(lab: Lab) -> None:
    lab.write(tasks=6, repeats=5, qualities=(80, 40), budget=20.0)
    began = time.monotonic()
    lab.run()
    print(f"\n60 attempts in {time.monotonic() - began:.0f} s")  # noqa: T201 - for the report
    passed = lab.results()
    assert {name: [sum(task) for task in tasks] for name, tasks in passed.items()} == {
        "80 %": [4] * 6,
        "40 %": [2] * 6,
    }
    lab.check_each_made_once(60)


@pytest.mark.soak
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("served", [False, True], ids=["and its gateway", "and not its gateway"])
def test_killed_at_fifty_random_moments_nothing_is_missing_and_nothing_twice(
    lab: Lab, served: bool
) -> None:
    with ExitStack() as stack:
        if served:
            server = {k: v for k, v in lab.settings.items() if k != "AIDEATOR_DATA_DIR"}
            stack.enter_context(serving(lab.data, *FLAGS, "--allow-file", **server))
        kill_fifty_times(lab)


def kill_fifty_times(lab: Lab) -> None:
    repeats = 5
    lab.write(tasks=12, repeats=repeats, budget=20.0, at_once=3)
    dice = random.Random(int(os.environ.get("AIDEATOR_TEST_SEED", "14")))  # noqa: S311 - no secret
    done: list[int] = []
    while len(done) < 50:
        # What it kills is written off and begun again in nine entries; from there on it gets on.
        before, steps = len(lab.entries), dice.randint(0, 18)
        with lab.started() as process:
            wait(lambda: len(lab.entries) >= before + steps or process.poll() is not None)  # noqa: B023 - at once
            try:
                process.wait(dice.uniform(0.0, 1.5))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                state = State.of(lab.entries)
                done.append(sum(state.result(name) is not None for name in state.tries))
            else:
                # It was through before it could be killed: there is more to do.
                repeats += 1
                lab.write(tasks=12, repeats=repeats, budget=20.0, at_once=3)
    with lab.started() as process:
        assert process.wait(1500) == 0, (lab.directory / "said").read_text()
    lab.check_each_made_once(12 * 2 * repeats)
    made = Counter(len(tries) for tries in State.of(lab.entries).tries.values())
    print(f"\ndone at each kill: {done}; tries by attempt: {dict(made)}")  # noqa: T201 - for the report
    # The moments lie all over the experiment.
    assert len(set(done)) > 10
