"""How much later a token arrives through the broker than straight from the model's server.

Five streams at once, each 200 tokens a second for ten seconds; every token carries the time at
which it was sent. One process sends, one is the broker, one reads. Straight and through the
broker take turns. Printed for each pair: median and p99 of the delay, in milliseconds, and the
broker's CPU seconds; then the medians of the differences. All stays on 127.0.0.1.
"""

import argparse
import asyncio
import multiprocessing
import statistics
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).parent.parent))

from aideator_gateway.scripted_model.script import Text
from aideator_gateway.scripted_model.server import Script, ScriptedModel
from tests.support.brokers import broker_for, configuration, request, token
from tests.support.figures import processor_seconds

STREAMS = 5
TOKENS_PER_SECOND = 200


def serve(tokens: int, pipe: Connection) -> None:
    """Play until the parent closes its end."""
    reply = [Text(["x "] * tokens, pace=1 / TOKENS_PER_SECOND, stamp=True)]
    with ScriptedModel(Script(default=[reply] * 1000), record=False) as model:
        pipe.send(model.base_url)
        pipe.recv()


async def delays(url: str) -> list[float]:
    """Return the delay of each token in milliseconds."""
    found: list[float] = []

    async def read(client: httpx.AsyncClient, variation: int) -> None:
        headers = {"x-api-key": token(variation=variation)}
        async with client.stream("POST", "/v1/messages", json=request(), headers=headers) as answer:
            assert answer.status_code == 200, answer.status_code
            async for line in answer.aiter_lines():
                now = time.time()
                if "t=" in line:
                    found.append((now - float(line.split("t=")[1].split(" ")[0])) * 1000)

    async with (
        httpx.AsyncClient(base_url=url, trust_env=False, timeout=60) as client,
        asyncio.TaskGroup() as group,
    ):
        for variation in range(1, STREAMS + 1):
            group.create_task(read(client, variation))
    return found


def figures(values: list[float]) -> tuple[float, float]:
    """Return median and p99."""
    return statistics.median(values), sorted(values)[int(0.99 * len(values))]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=10)
    arguments = parser.parse_args()
    ours, theirs = multiprocessing.Pipe()
    tokens = arguments.seconds * TOKENS_PER_SECOND
    server = multiprocessing.Process(target=serve, args=(tokens, theirs), daemon=True)
    server.start()
    url = ours.recv()
    differences = []
    with (
        tempfile.TemporaryDirectory() as directory,
        broker_for(Path(directory), configuration(url)) as broker,
    ):
        for _ in range(arguments.pairs):
            straight = figures(asyncio.run(delays(url)))
            before, _ = processor_seconds(broker.process.pid)
            through = figures(asyncio.run(delays(broker.base_url)))
            used = processor_seconds(broker.process.pid)[0] - before
            differences.append([b - a for a, b in zip(straight, through, strict=True)])
            print(
                f"straight {straight[0]:.2f} / {straight[1]:.2f} ms, "
                f"broker {through[0]:.2f} / {through[1]:.2f} ms, broker's CPU {used:.2f} s"
            )
    median, worst = (statistics.median(column) for column in zip(*differences, strict=True))
    print(f"difference: median {median:.2f} ms, p99 {worst:.2f} ms")
    ours.send(None)
    server.join()


if __name__ == "__main__":
    main()
