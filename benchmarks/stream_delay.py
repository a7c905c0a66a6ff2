"""How long a token takes from the model's server to a client of the stream.

Five variations speak at once, each 50 tokens a second for twelve seconds. Every token
carries the time at which it left the scripted model; the client notes when it arrives.
Printed: delay (median, p99, worst), POST /runs to the first token of each variation, and the
gateway's memory before and after. Everything stays on 127.0.0.1.
"""

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from aideator_gateway.scripted_model.script import Text
from aideator_gateway.scripted_model.server import Script, ScriptedModel
from tests.support.gateways import serving
from tests.support.repositories import make_repository

VARIATIONS = 5
TOKENS = 600
PACE = 0.02


def memory_mib(pid: int) -> float:
    """Return the resident memory of a process in MiB (Linux)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return float("nan")


def percentile(values: list[float], share: float) -> float:
    """Return the value below which ``share`` of the values lie."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def main() -> None:
    """Run once and print the figures."""
    reply = [Text(["x "] * TOKENS, pace=PACE, stamp=True)]
    with tempfile.TemporaryDirectory() as directory:
        base = Path(directory)
        repository = make_repository(base / "repository")
        with (
            ScriptedModel(Script({}, default=[reply])) as model,
            serving(
                base / "data", "--backend", "local", "--allow-file",
                "--base-url", model.base_url, AIDEATOR_API_KEY="key",
            ) as gateway,
        ):  # fmt: skip
            before = memory_mib(gateway.process.pid)
            posted = time.time()
            run_id = gateway.create(github_url=repository.as_uri(), variations=VARIATIONS)
            first: dict[int, float] = {}
            delays: list[float] = []
            for event in gateway.stream(run_id):
                now = time.time()
                data = json.loads(event.data)
                if data.get("type") != "agent_output":
                    continue
                first.setdefault(data["variation_id"], now - posted)
                delays += [
                    now - float(word[2:])
                    for word in data["content"].split()
                    if word.startswith("t=")
                ]
            after = memory_mib(gateway.process.pid)
            isolation = gateway.run(run_id)["isolation"]
    assert len(delays) == VARIATIONS * TOKENS, f"{len(delays)} of {VARIATIONS * TOKENS} arrived"
    print(f"variations {VARIATIONS}, tokens {len(delays)}, isolation {isolation}")
    print(
        f"delay: median {statistics.median(delays) * 1000:.1f} ms, "
        f"p99 {percentile(delays, 0.99) * 1000:.1f} ms, worst {max(delays) * 1000:.1f} ms"
    )
    times = sorted(first.values())
    print(f"POST /runs to first token: first {times[0]:.2f} s, last {times[-1]:.2f} s")
    print(f"gateway memory: {before:.0f} MiB before, {after:.0f} MiB after")


if __name__ == "__main__":
    main()
