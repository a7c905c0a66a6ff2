"""Run the benchmarks of the stream in rounds, and write ``docs/benchmarks.md``.

``make bench`` does so: five rounds, medians, with the load of the machine before each.
"""

import argparse
import datetime as dt
import os
import platform
import sqlite3
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks import event_log, gateway

DOCS = Path(__file__).parent.parent / "docs/benchmarks.md"

HEAD = """# Benchmarks

Made by `make bench`, which writes this page anew. Ours and the peers alternate in every round, all
on one machine and on 127.0.0.1; what each figure is says the head of `benchmarks/event_log.py` and
of `benchmarks/gateway.py`.

"""


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--events", type=int, default=100_000, help="of ingest and replay")
    parser.add_argument("--delivered", type=int, default=10_000, help="to each reader")
    given = parser.parse_args()
    found: dict[str, list[float]] = {}
    loads = []
    for number in range(given.rounds):
        loads.append(os.getloadavg()[0])
        print(f"round {number + 1} of {given.rounds}, load {loads[-1]:.1f}", flush=True)
        for name, value in {
            **event_log.measure(given.events, given.delivered),
            **gateway.measure(),
        }.items():
            found.setdefault(name, []).append(value)
    text = HEAD + _machine(given.rounds, loads) + "\n| | median | least | most |\n"
    text += "| --- | ---: | ---: | ---: |\n"
    for name, values in found.items():
        cells = (f"{value:,.{0 if value >= 100 else 2}f}" for value in
                 (statistics.median(values), min(values), max(values)))  # fmt: skip
        text += f"| {name} | {' | '.join(cells)} |\n"
    print(text)
    DOCS.write_text(text)


def _machine(rounds: int, loads: list[float]) -> str:
    today = dt.datetime.now(dt.UTC).date()
    return (
        f"{today}: {rounds} rounds on {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"SQLite {sqlite3.sqlite_version}; load before the rounds "
        f"{', '.join(f'{load:.1f}' for load in loads)} (the load of a round counts in the next).\n"
    )


if __name__ == "__main__":
    main()
