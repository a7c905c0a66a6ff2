"""What a gateway adds to an attempt of an experiment, over 300 attempts that do next to nothing.

A gateway with the local backend, a scripted model that answers at once, and the command that
carries the experiment out, each in a process of its own, all on 127.0.0.1: 30 tasks x 2
conditions x 5 repeats with a check, two runs at a time. An attempt makes one file in two turns.

Every 30 attempts it looks at what the processes have used, so that what grows with the number of
attempts is seen:

- processor time of the gateway, of its broker, of what it starts for attempts (git, copies,
  sandboxes, but not what works inside of them: agents and checks) and of the command;
- resident memory of the gateway, its broker and the command.

Of each run: the time from POST to its end, without that which its slower agent took itself, from
its first line to its last.
"""

import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing.connection import Connection
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from aideator_gateway.experiments.entries import Ended
from aideator_gateway.experiments.journal import read_journal
from aideator_gateway.scripted_model.server import ScriptedModel
from benchmarks.gateway import memory_kib
from tests.support.figures import processor_seconds
from tests.support.gateways import COMMAND, environment, serving
from tests.support.known_quality import KnownQuality
from tests.support.labs import FLAGS, described
from tests.support.processes import brokers_of
from tests.support.repositories import make_repository

TASKS, REPEATS, QUALITIES = 30, 5, (100, 50)
ATTEMPTS = TASKS * REPEATS * len(QUALITIES)
STEP = 30


@dataclass(frozen=True)
class Used:
    """What the processes have used so far: seconds of processor time, MiB."""

    done: int
    gateway: float
    broker: float
    started: float
    command: float
    gateway_mib: float
    broker_mib: float
    command_mib: float


def serve(pipe: Connection) -> None:
    """Play a model's server until the parent closes its end."""
    with ScriptedModel(KnownQuality(), record=False) as model:
        pipe.send(model.base_url)
        pipe.recv()


@contextmanager
def model() -> Iterator[str]:
    """Give the address of a model that answers at once."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(target=serve, args=(theirs,))
    process.start()
    try:
        yield ours.recv()
    finally:
        ours.send(None)
        process.join()


def used(done: int, gateway: int, command: int) -> Used:
    """Look at the processes."""
    (broker,) = brokers_of(gateway)
    own, started = processor_seconds(gateway)
    return Used(
        done, own, processor_seconds(broker)[0], started, processor_seconds(command)[0],
        *(memory_kib(pid) / 1024 for pid in (gateway, broker, command)),
    )  # fmt: skip


def measure(base: Path) -> tuple[list[Used], list[float], list[float]]:
    """Carry the experiment out; return what was used, what runs added, and what agents took."""
    repository = make_repository(base / "repository")
    file, data = base / "experiment.toml", base / "data"
    file.write_text(
        described(
            repository, tasks=TASKS, repeats=REPEATS, budget=100.0, at_once=2, qualities=QUALITIES
        )
    )
    with model() as address:
        settings = {"AIDEATOR_BASE_URL": address, "AIDEATOR_API_KEY": "key"}
        with serving(data, *FLAGS, "--allow-file", **settings) as gateway:
            command = subprocess.Popen(
                [COMMAND, "experiment", "run", str(file), "--json", *FLAGS],
                env=environment(AIDEATOR_DATA_DIR=str(data), **settings),
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            )  # fmt: skip
            assert command.stdout is not None
            found: list[Used] = []
            for line in command.stdout:
                said = json.loads(line)
                if said["event"] == "ended":
                    assert said["complete"], said
                elif said["event"] == "progress" and said["done"] >= STEP * len(found):
                    found.append(used(said["done"], gateway.process.pid, command.pid))
                    for before, after in pairwise(found[-2:]):
                        show(before, after)
            assert command.wait() == 0
    ended = [one.run for one in read_journal(data / "experiments/known.jsonl")
             if isinstance(one, Ended)]  # fmt: skip
    assert len(ended) * len(QUALITIES) == ATTEMPTS
    own = [max(variation.seconds or 0.0 for variation in run.variations) for run in ended]
    took = [((run.ended_at or run.created_at) - run.created_at).total_seconds() for run in ended]
    return found, [whole - agent for whole, agent in zip(took, own, strict=True)], own


def show(before: Used, after: Used) -> None:
    """Print what attempts have used."""
    count = after.done - before.done
    each = [
        1000 * (getattr(after, name) - getattr(before, name)) / count
        for name in ("gateway", "broker", "started", "command")
    ]
    print(
        f"{before.done:3} to {after.done:3}  {each[0]:7.0f} {each[1]:7.0f} {each[2]:8.0f} "
        f"{each[3]:8.0f}   {after.gateway_mib:7.1f} {after.broker_mib:7.1f} "
        f"{after.command_mib:8.1f}"
    )


def main() -> None:
    """Measure and print."""
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores before")
    print("milliseconds of processor time an attempt, and MiB at the end of each part")
    print("attempts    gateway  broker  started  command   gateway  broker  command")
    with tempfile.TemporaryDirectory() as directory:
        found, added, own = measure(Path(directory))
    show(found[0], found[-1])
    parts = len(added) // 5
    for name, values in (("a run adds", added), ("its slower agent takes", own)):
        whole, first, last = (
            statistics.median(part) for part in (values, values[:parts], values[-parts:])
        )
        print(f"{name}: median {whole:.2f} s, of the first fifth {first:.2f}, last {last:.2f}")
    print(f"load {os.getloadavg()[0]:.1f} after")


if __name__ == "__main__":
    main()
