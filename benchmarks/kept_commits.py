"""What a commit of 15,000 files costs over one of ten: the first run on it, and each later one.

One gateway with an empty data directory does a first run on each, and then later runs on both in
turns, with a pause before each, so that none pays for what the one before leaves to be tidied up.
Printed are the time from POST /runs to the first token, and from the last completion to the run's
end, of later runs as medians; then what a variation's copy takes, for each way that works here.
Everything stays on 127.0.0.1.

With --backend dagger the same is measured on the engine that the Dagger client's settings name.

Usage: python benchmarks/kept_commits.py [--rounds N] [--files N] [--variations N] [--backend NAME]
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from aideator_gateway.backends.children import plain_environment, run
from aideator_gateway.backends.local.trees import WAYS, Trees
from aideator_gateway.backends.workdir import WorkDirectory
from aideator_gateway.runs.backend import BackendError
from aideator_gateway.scripted_model.script import Reply, Text, ToolUse
from aideator_gateway.scripted_model.server import Script, ScriptedModel
from tests.support.gateways import Gateway, serving
from tests.support.repositories import make_repository

EDIT = {"command": "create", "path": "made.txt", "file_text": "made\n"}
SMALL = 10
PAUSE = 3.0


def files(count: int) -> dict[str, str]:
    """Return files of up to 400 bytes, a hundred in each directory."""
    return {
        f"d{number // 100:03}/f{number:05}.py": f"# file {number}\n" + "x = 1\n" * (number % 60)
        for number in range(count)
    }


def first_token(gateway: Gateway, repository: Path, variations: int) -> tuple[float, float, str]:
    """Return the seconds to a run's first token and from its last completion to its end."""
    begun = time.monotonic()
    run_id = gateway.create(github_url=repository.as_uri(), variations=variations)
    first = completed = ended = 0.0
    for event in gateway.stream(run_id):
        now = time.monotonic()
        if not first and json.loads(event.data).get("type") == "agent_output":
            first = now - begun
        if event.event == "completion":
            completed = now
        if event.event == "end":
            ended = now
    found = gateway.run(run_id)
    assert found["status"] == "completed", found
    return first, ended - completed, f"{found['isolation']}, {found['copies']}"


def compare(repositories: dict[str, Path], rounds: int, variations: int, backend: str) -> None:
    """Print what runs on each repository take, and the ratios."""
    tokens: defaultdict[str, list[float]] = defaultdict(list)
    ends: defaultdict[str, list[float]] = defaultdict(list)
    reply: list[Reply] = [
        [Text("So be it."), ToolUse("str_replace_based_edit_tool", EDIT)],
        [Text("Done.")],
    ]
    with (
        # Two answers for each run, the two first and the warm one included.
        ScriptedModel(Script({}, default=reply * (2 * rounds + 3))) as model,
        tempfile.TemporaryDirectory() as directory,
        serving(
            Path(directory) / "data", "--backend", backend, "--allow-file",
            "--base-url", model.base_url, AIDEATOR_API_KEY="key",
        ) as gateway,
    ):  # fmt: skip
        while not gateway.http.get("/readyz").json()["ready"]:
            time.sleep(0.1)
        # The broker and much else is warm after one run of any repository.
        first_token(gateway, repositories["warm"], variations)
        for which in ("first", *["later"] * rounds):
            for name in ("small", "large"):
                time.sleep(PAUSE)
                token, end, how = first_token(gateway, repositories[name], variations)
                tokens[f"{name}, {which}"].append(token)
                ends[f"{name}, {which}"].append(end)
    print(f"{rounds} rounds, {variations} variations, {how}; load {os.getloadavg()[0]:.1f}")
    print("run            first token   last completion to end")
    for name, values in tokens.items():
        after = statistics.median(ends[name]) * 1000
        each = " ".join(f"{value:.2f}" for value in values)
        print(f"{name:14} {statistics.median(values):8.2f} s {after:15.0f} ms   ({each})")
    for which in ("first", "later"):
        small, large = (
            statistics.median(tokens[f"{name}, {which}"]) for name in ("small", "large")
        )
        print(f"{which} run, large to small: {large / small:.2f}")


async def copies(base: Path, directory: Path, rounds: int) -> None:
    """Print what a copy takes, in each way."""
    work = WorkDirectory(directory / "work", "gw_benchmark")
    print("way                  to make   to be seen and listed")
    for way in WAYS:
        made, seen = [], []
        for number in range(rounds):
            place = work.make(f"{way}{number}")
            begun = time.monotonic()
            try:
                tree = await Trees(work, [way]).make(base, place / "repo", place / "layer")
            except BackendError as error:
                print(f"{way:18}  does not work here: {error.message.splitlines()[0][:70]}")
                break
            made.append(time.monotonic() - begun)
            argv = ["find", str(tree.path), "-name", "f00001.py"]
            if tree.bubblewrap_options:
                argv = ["bwrap", "--bind", "/", "/", *tree.bubblewrap_options, "--", *argv]
            begun = time.monotonic()
            ended = await run(*tree.seen_by(argv), environment=plain_environment(), seconds=60)
            seen.append(time.monotonic() - begun)
            work.remove(place)
            if not ended.stdout:
                print(f"{way:18}  does not work here: {ended.said.splitlines()[0][:70]}")
                break
        else:
            print(f"{way:18} {statistics.median(made):7.3f} s {statistics.median(seen):10.3f} s")
    await work.clear(lambda owner: owner != "gw_benchmark")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--files", type=int, default=15_000)
    parser.add_argument("--variations", type=int, default=3)
    parser.add_argument("--backend", choices=("local", "dagger"), default="local")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        repositories = {
            "small": make_repository(directory / "small", files(SMALL)),
            "warm": make_repository(directory / "warm", files(SMALL)),
            "large": make_repository(directory / "large", files(options.files)),
        }
        compare(repositories, options.rounds, options.variations, options.backend)
        if options.backend == "local":
            asyncio.run(copies(repositories["large"], directory, options.rounds))


if __name__ == "__main__":
    main()
