"""What the gateway costs on a Dagger engine, on this machine, warm, medians of five.

- POST /runs to the first token of each of three variations, against the floor: as many plain
  execs of ``python -c "import httpx2, pydantic"`` in the container that agents start in, started
  together in one session, from the query to the line that each prints at its end.
- The time from a line's printing in a container to its arrival at a client of the stream, with
  five variations that speak at once. Each line carries the time at which it was written.
- Events lost or out of order in five times 5,000.
- A whole run on a commit that is new to the engine, and the next one on the same commit.
- The end of a run after the end of its last attempt.
- ``dagger call … summary`` of three, as a whole: there the module has a broker of its own.

An engine has to be reachable by the Dagger client's own settings. Everything else stays on
127.0.0.1. Rounds of both kinds alternate, so that a machine that is busy is so for both.
"""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from aideator.containers import PACKAGES
from aideator_gateway.backends.dagger.feed import Feed
from aideator_gateway.backends.dagger.session import DaggerSession
from aideator_gateway.backends.dagger.telemetry import LogReceiver
from aideator_gateway.scripted_model.player import Request
from aideator_gateway.scripted_model.script import Reply, Text
from aideator_gateway.scripted_model.server import ScriptedModel
from benchmarks.gateway import first_tokens, percentile
from tests.support.gateways import Gateway, environment, serving
from tests.support.repositories import make_repository

ROOT = Path(__file__).parent.parent
ROUNDS = 5
VARIATIONS = 3

EXEC = """
import httpx2, json, os, pydantic, time
line = {"aideator": 1, "run": os.environ["RUN"], "variation": int(os.environ["N"]), "seq": 1,
        "attempt": 1, "time": time.time(), "type": "completed", "stop_reason": "end_turn"}
print(json.dumps(line), flush=True)
"""


class Speaker:
    """Says one word, many words at a pace, or very many at once, as the prompt asks."""

    def reply(self, request: Request) -> Reply:
        """Return the one reply of a conversation."""
        text = json.dumps(request.messages[0])
        if "paced" in text:
            return [Text(["word "] * 400, pace=0.025)]
        if "many" in text:
            return [Text([f"{number:05d} " for number in range(5000)])]
        return [Text("Done.")]


async def ask(session: DaggerSession, query: str, variables: dict[str, str], feed: Feed) -> None:
    """Ask, and close the feed once what was printed before the answer can have come."""
    try:
        await session.query(query, variables)
        await asyncio.sleep(2)
    finally:
        feed.close()


async def floor_rounds(
    repository: Path, between: Callable[[], Awaitable[None]]
) -> list[list[float]]:
    """Return, for each round, the seconds to the line that each exec prints."""
    receiver = LogReceiver()
    await receiver.start()
    session = await DaggerSession.open("dagger", {**os.environ, **receiver.environment}, seconds=30)
    serve = "query($at: String!) { moduleSource(refString: $at) { asModule { serve } } }"
    await session.query(serve, {"at": str(ROOT)})
    found = await session.query(
        "query($at: String!) { host { directory(path: $at) { id } } }", {"at": str(repository)}
    )
    source = found["host"]["directory"]["id"]
    found = await session.query(
        "query($s: ID!) { aideator { workspace(source: $s) { id } } }", {"s": source}
    )
    workspace = found["aideator"]["workspace"]["id"]
    rounds = []
    for number in range(ROUNDS + 1):
        run = f"floor_{uuid.uuid4().hex}"
        feed = Feed(run, range(1, VARIATIONS + 1))
        execs = " ".join(
            f'v{n}: withEnvVariable(name: "N", value: "{n}") '
            '{ withExec(args: ["python3", "-c", $code]) { exitCode } }'
            for n in range(1, VARIATIONS + 1)
        )
        query = f"""query($at: ID!, $code: String!) {{ node(id: $at) {{ ... on Container {{
            withEnvVariable(name: "PYTHONPATH", value: "{PACKAGES}") {{
            withEnvVariable(name: "RUN", value: "{run}") {{ {execs} }} }} }} }} }}"""
        with receiver.following(run, feed):
            started = time.time()
            asked = asyncio.create_task(ask(session, query, {"at": workspace, "code": EXEC}, feed))
            times = [time.time() - started async for _ in feed]
            await asked
        if number:
            rounds.append(times)
        await between()
    await session.aclose()
    await receiver.aclose()
    return rounds


def talk(gateway: Gateway, url: str, prompt: str) -> tuple[list[float], dict[int, list[str]]]:
    """Follow a run of five; return the delay of each text event, and the texts."""
    run_id = gateway.create(github_url=url, prompt=prompt, variations=5)
    delays: list[float] = []
    texts: dict[int, list[str]] = {number: [] for number in range(1, 6)}
    for event in gateway.stream(run_id):
        now = time.time()
        data = json.loads(event.data)
        if data.get("type") == "agent_output":
            delays.append(now - data["time"])
            texts[data["variation_id"]].append(data["content"])
    return delays, texts


def show(name: str, rounds: list[list[float]]) -> float:
    """Print and return the median over the rounds of the median and of the slowest."""
    each = statistics.median(value for values in rounds for value in values)
    last = statistics.median(max(values) for values in rounds)
    print(f"{name}: median of each {each:.2f} s, of the last of {VARIATIONS} {last:.2f} s")
    print("   rounds: " + "; ".join(" ".join(f"{v:.2f}" for v in values) for values in rounds))
    return each


def measure_start(gateway: Gateway, repository: Path) -> None:
    """Measure POST /runs to the first token, in turn with the floor."""
    tokens: list[list[float]] = []

    async def between() -> None:
        tokens.append(
            await asyncio.to_thread(first_tokens, gateway, repository.as_uri(), VARIATIONS)
        )

    floor = show("floor", asyncio.run(floor_rounds(repository, between)))
    first = show("POST /runs to first token", tokens[1:])
    print(f"   that is {first / floor:.2f} times the floor")


def measure_delay(gateway: Gateway, repository: Path) -> None:
    """Measure a line's way from a container to a client of the stream."""
    delays, _ = talk(gateway, repository.as_uri(), "paced")
    print(
        f"line printed to stream client, 5 variations, {len(delays)} lines: "
        f"median {statistics.median(delays) * 1000:.0f} ms, "
        f"p99 {percentile(delays, 0.99) * 1000:.0f} ms, "
        f"worst {max(delays) * 1000:.0f} ms"
    )


def measure_loss(gateway: Gateway, repository: Path) -> None:
    """Count events that are missing or out of order."""
    expected = [f"{number:05d} " for number in range(5000)]
    for number in range(ROUNDS):
        _, texts = talk(gateway, repository.as_uri(), f"many {number}")
        lost = sum(len(set(expected) - set(found)) for found in texts.values())
        wrong = sum(found != expected for found in texts.values())
        print(f"5 x 5,000 events: {lost} lost, {wrong} variations not in order")


def measure_again(gateway: Gateway, repository: Path) -> None:
    """Measure a whole run on a commit that the engine has not seen, and the next one on it."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(ROUNDS):
        new = make_repository(repository.with_name(f"new{number}"), {"new.txt": uuid.uuid4().hex})
        for found in times:
            posted = time.time()
            gateway.finish(gateway.create(github_url=new.as_uri(), variations=VARIATIONS))
            found.append(time.time() - posted)
    first, second = (statistics.median(found) for found in times)
    print(f"run on a new commit: median {first:.1f} s; again on the same: {second:.1f} s")
    print("   rounds: " + "; ".join(f"{a:.1f} {b:.1f}" for a, b in zip(*times, strict=True)))


def measure_end(gateway: Gateway, repository: Path) -> None:
    """Measure from the end of a run's last attempt to its own."""
    found = []
    for _ in range(ROUNDS):
        last = 0.0
        url = repository.as_uri()
        for event in gateway.stream(gateway.create(github_url=url, variations=VARIATIONS)):
            if event.event == "completion":
                last = time.monotonic()
            elif event.event == "end":
                found.append(time.monotonic() - last)
    print(f"last completion to end: median {statistics.median(found) * 1000:.0f} ms")
    print("   rounds: " + " ".join(f"{value * 1000:.0f}" for value in found))


def measure_call(_: Gateway, repository: Path) -> None:
    """Measure the command by which a person without a gateway compares three attempts."""
    found: list[float] = []
    with ScriptedModel(Speaker()) as model:
        argv = [
            "dagger", "call", "--progress=plain", "--api-key=env://SECRET",
            f"--model-service={model.base_url.replace('http', 'tcp')}",
            "run-variations", f"--source={repository}", "--prompt=Do it.",
            f"--variations={VARIATIONS}", "summary",
        ]  # fmt: skip
        while len(found) <= ROUNDS:
            started = time.monotonic()
            done = subprocess.run(
                argv, cwd=ROOT, env=environment(SECRET="sk-ant-of-nobody"),  # noqa: S106
                stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True,
            )  # fmt: skip
            found.append(time.monotonic() - started)
            assert done.stdout.count("completed") == VARIATIONS, done.stdout
    print(f"dagger call … summary: median {statistics.median(found[1:]):.1f} s")
    print("   rounds: " + " ".join(f"{value:.1f}" for value in found[1:]))


PARTS = {
    "start": measure_start,
    "delay": measure_delay,
    "loss": measure_loss,
    "again": measure_again,
    "end": measure_end,
    "call": measure_call,
}


def main() -> None:
    """Measure what the arguments name, some of the parts above, or everything."""
    with tempfile.TemporaryDirectory() as directory:
        base = Path(directory)
        repository = make_repository(base / "repository")
        with (
            ScriptedModel(Speaker()) as model,
            serving(
                base / "data", "--backend", "dagger", "--allow-file",
                "--base-url", model.base_url, AIDEATOR_API_KEY="key",
            ) as gateway,
        ):  # fmt: skip
            while not gateway.http.get("/readyz").json()["ready"]:
                time.sleep(0.2)
            for part in sys.argv[1:] or PARTS:
                print(f"{part}, while {os.getloadavg()[0]:.1f} processes want to run")
                PARTS[part](gateway, repository)
            missing = "events are missing" in gateway.log.read_text()
            print(f"transcripts had to fill gaps: {'yes' if missing else 'no'}")


if __name__ == "__main__":
    main()
