"""``kill -9`` at random moments: what was sent is there, and everything comes to an end."""

import random
import shutil
import signal
import sqlite3
import subprocess
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from aideator_gateway.scripted_model.script import Text
from aideator_gateway.scripted_model.server import Script, ScriptedModel
from tests.support.gateways import COMMAND, ENDED, Gateway, environment, serving
from tests.support.processes import (
    argument_lists,
    brokers_of,
    wait_until_gone,
    wait_until_removed,
)
from tests.support.readers import Reader
from tests.support.talking import wait

WORDS = 60
MOST_EVENTS = 90
"""More than a run has: it may be killed when all is over, too."""

Events = list[tuple[str, str, dict[str, Any]]]


@pytest.mark.parametrize(
    "kills",
    [3, pytest.param(200, marks=[pytest.mark.soak, pytest.mark.timeout(4 * 3600)])],
)
def test_nothing_is_lost_and_nothing_left(
    shared_repository: Path, tmp_path: Path, kills: int
) -> None:
    seed = random.randrange(10**6)  # noqa: S311 - moments, no secrets
    print(f"seed {seed}")  # noqa: T201 - whoever looks into a failure wants it
    chance = random.Random(seed)  # noqa: S311 - as above
    data = tmp_path / "data"
    said = [[Text("word " * WORDS, pace=0.005)]] * (6 * kills)
    seen: dict[str, Events] = {}
    with ScriptedModel(Script({}, default=said)) as model:
        flags = ("--backend", "local", "--allow-file", "--base-url", model.base_url)
        for number in range(kills):
            if number % 4 == 3:
                _kill_starting(data, flags, chance.uniform(0, 3))
                assert _intact(data, tmp_path / "copy")
                continue
            with serving(data, *flags, AIDEATOR_API_KEY="key") as gateway:
                seen |= _work_until_killed(gateway, shared_repository, chance)
                assert _intact(data, tmp_path / "copy")
                assert wait_until_gone(data, 30) == []
        with serving(data, *flags, AIDEATOR_API_KEY="key") as gateway:
            for run_id, events in seen.items():
                _check(gateway, run_id, events)
            listed = gateway.http.get("/runs?limit=200").json()["runs"]
            assert {run["status"] for run in listed} <= set(ENDED)
            assert wait_until_removed(data) == []
            left = [path.name for path in (data / "gateways").glob("gw_*.json")]
            assert len(left) == 1, left


def _work_until_killed(
    gateway: Gateway, repository: Path, chance: random.Random
) -> dict[str, Events]:
    """Have two runs go on, kill the gateway at some moment, and return what was seen of them."""
    url = repository.as_uri()
    run_ids = [gateway.create(github_url=url, variations=number) for number in (1, 2)]
    count = chance.randrange(MOST_EVENTS)
    with ExitStack() as stack:
        readers = [stack.enter_context(Reader(gateway, run_id)) for run_id in run_ids]
        watched = chance.choice(readers)
        wait(lambda: len(watched.events) >= count or watched.ended)
        time.sleep(chance.uniform(0, 0.05))  # any moment between two events will do
        brokers = brokers_of(gateway.process.pid)
        gateway.stop(signal.SIGKILL)
    wait(lambda: not set(brokers) & set(argument_lists()))
    return {run_id: reader.events for run_id, reader in zip(run_ids, readers, strict=True)}


def _kill_starting(data: Path, flags: tuple[str, ...], seconds: float) -> None:
    process = subprocess.Popen(
        [COMMAND, "serve", "--port", "0", "--data-dir", str(data), *flags],
        env=environment(AIDEATOR_API_KEY="key"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _intact(data: Path, copy: Path) -> bool:
    """Whether SQLite finds nothing wrong with what a dead gateway has left."""
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    for path in data.glob("aideator.db*"):
        # Looked at apart: who opens it puts it in order.
        if not path.name.endswith("-shm"):
            shutil.copy(path, copy / path.name)
    with closing(sqlite3.connect(copy / "aideator.db")) as database:
        return database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def _check(gateway: Gateway, run_id: str, seen: Events) -> None:
    """Check that a run has ended, once in every respect, and begins with what was seen of it."""
    with Reader(gateway, run_id) as reader:
        pass
    assert reader.events[: len(seen)] == seen
    assert [int(place) for place, _, _ in reader.events] == list(range(1, len(reader.events) + 1))
    names = [name for _, name, _ in reader.events]
    run = gateway.run(run_id)
    assert run["status"] in ENDED
    assert names[-1] == "end"
    assert names.count("end") == 1
    assert names.count("completion") + names.count("error") == len(run["variations"])
