"""What it costs until an agent of the local backend has its first word, medians of the rounds.

- POST /runs to the first token of each of three variations, with a model that answers at once.
- Processor seconds that an agent has used when its first request arrives at the model's server,
  as Linux counts them, in hundredths; the sandbox around it is not in them.

The gateway is warm: the first round does not count. Everything stays on 127.0.0.1.
"""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from aideator_gateway.scripted_model.player import Request
from aideator_gateway.scripted_model.script import Reply, Text
from aideator_gateway.scripted_model.server import ScriptedModel
from benchmarks.gateway import first_tokens
from tests.support.figures import processor_seconds
from tests.support.gateways import serving
from tests.support.processes import argument_lists, environment_of
from tests.support.repositories import make_repository

VARIATIONS = 3


def cpu_seconds(run: str, variation: int) -> float:
    """Return the processor seconds that an agent has used."""
    for process, argv in argument_lists().items():
        words = argv.split(b"\0")
        if b"python" not in words[0] or b"aideator.agent" not in words:
            continue
        environment = environment_of(process)
        if environment.get("AIDEATOR_RUN_ID") != run:
            continue
        if environment.get("AIDEATOR_VARIATION_ID") == str(variation):
            return processor_seconds(process)[0]
    return float("nan")


class AtOnce:
    """Answers at once, and notes what who asks has used by then if it is told to look."""

    def __init__(self) -> None:
        self.look = False
        self.used: list[float] = []

    def reply(self, request: Request) -> Reply:
        """Return the one reply."""
        if self.look:
            self.used.append(cpu_seconds(str(request.run), request.variation or 0))
        return [Text("Done.")]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    model = AtOnce()
    with tempfile.TemporaryDirectory() as directory:
        base = Path(directory)
        repository = make_repository(base / "repository")
        with (
            ScriptedModel(model) as server,
            serving(
                base / "data", "--backend", "local", "--allow-file",
                "--base-url", server.base_url, AIDEATOR_API_KEY="key",
            ) as gateway,
        ):  # fmt: skip
            url = repository.as_uri()
            first_tokens(gateway, url, VARIATIONS)
            rounds = [first_tokens(gateway, url, VARIATIONS) for _ in range(arguments.rounds)]
            # Apart, since the look takes time from who is looked at.
            model.look = True
            for _ in range(arguments.rounds):
                first_tokens(gateway, url, VARIATIONS)
    first, last = (
        statistics.median(each) for each in zip(*((r[0], r[-1]) for r in rounds), strict=True)
    )
    print(f"POST /runs to first token: first {first:.2f} s, last of {VARIATIONS} {last:.2f} s")
    print("   rounds: " + "; ".join(" ".join(f"{v:.2f}" for v in values) for values in rounds))
    print(f"CPU of an agent before its first request: {statistics.median(model.used):.2f} s")


if __name__ == "__main__":
    main()
