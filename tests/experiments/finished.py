"""Experiments that were carried out against a scripted gateway, in worlds whose truth is known."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aideator.protocol import Condition, Usage
from aideator_gateway.experiments.beginning import begin
from aideator_gateway.experiments.definition import Experiment
from aideator_gateway.experiments.journal import Journal, read_journal
from aideator_gateway.experiments.judgments import Judgment
from aideator_gateway.experiments.plan import Plan
from aideator_gateway.experiments.report.making import report_of
from aideator_gateway.experiments.report.model import Report
from aideator_gateway.experiments.runner import Runner
from aideator_gateway.experiments.state import State
from aideator_gateway.experiments.stop import Stop
from aideator_gateway.runs.model import NewRun, PatchStat
from tests.experiments.scripted_gateway import (
    Play,
    ScriptedGateway,
    check,
    experiment,
    journal_of,
    task,
)
from tests.experiments.worlds import World

EVIL = (
    "</script><script>ran=1</script><img src=x onerror=ran=2>\"'><svg onload=ran=3> "
    "</title></style>&lt; \u202eturned\u202c \u200b|`code`|[x](javascript:ran=4)"
)
LABELS = (
    '=HYPERLINK("http://evil","x")',
    "<b onclick=ran=5>|`**bold**`\u202e</td>",
    "指示 🚀 wide wide wide wide wide wide",
)
"""Of conditions; the last one is wide."""


def plays(
    rates: Mapping[str, Sequence[float]], costs: Mapping[str, float] | None = None, seed: int = 1
) -> Play:
    """Return agents that pass a task, by its number, as often as is said for a condition."""
    dice = np.random.default_rng(seed)

    def play(request: NewRun, condition: Condition, before: int) -> dict[str, Any]:
        del before
        name = condition.name or ""
        number = int(request.prompt.split()[1].rstrip("."))
        good = dice.random() < rates[name][number]
        cost = (costs or {}).get(name, 0.01) * float(dice.lognormal(0, 0.3))
        lines = int(dice.integers(1, 60))
        return {
            "check": check() if good else check("failed", exit_code=1),
            "usage": Usage(input_tokens=int(1e5 * cost), output_tokens=100, cost_usd=cost),
            "seconds": float(dice.lognormal(4, 0.4)),
            "turns": int(dice.integers(3, 20)),
            "patch": PatchStat(bytes=9, files=1, insertions=lines, deletions=2),
        }

    return play


def in_world(
    world: World, means: Sequence[float], *, tasks: int, seed: int = 1
) -> dict[str, list[float]]:
    """Return how often conditions ``A``, ``B`` and so on pass each task of a world."""
    rates = world.rates(means, tasks, np.random.default_rng(seed))
    return {chr(65 + number): row.tolist() for number, row in enumerate(rates)}


def of_rates(rates: Mapping[str, Sequence[float]], **fields: Any) -> Experiment:
    """Return an experiment for such agents."""
    numbers = range(len(next(iter(rates.values()))))
    given = {
        "repeats": 5,
        "budget_usd": 500.0,
        "tasks": [task(str(number)) for number in numbers],
        "conditions": [{"label": name} for name in rates],
    }
    return experiment(**{**given, **fields})


def hostile() -> tuple[Experiment, Play]:
    """Return an experiment whose every text would like to be markup, and agents for it."""
    rates = {label: [1.0, 0.5, 0.0] for label in LABELS}
    what = of_rates(
        rates,
        repeats=2,
        description=EVIL,
        tasks=[
            task("0", prompt="Do 0.\n# Title\n```\n<script>ran=6</script>", check=f"echo '{EVIL}'"),
            task("<i>1</i>|x", prompt="Do 1.", tags=["<u>"]),
            task(f"2 {EVIL}"[:80], prompt=f"Do 2. {EVIL} ````"),
        ],
    )
    return what, plays(rates)


def carried_out(
    directory: Path, what: Experiment, play: Play, *, scripted: bool = False
) -> ScriptedGateway:
    """Carry an experiment out, and leave its journal in a data directory."""
    gateway = ScriptedGateway(play, looks=1)
    directory.mkdir(exist_ok=True)
    with Journal.opened(journal_of(directory)) as journal:
        versions = {"aideator": "0.1.0", "python": "3.11.2"}
        beginning = begin(journal, what, versions, model="m", scripted=scripted)
        runner = Runner(beginning, journal, gateway, stop=Stop(), pauses=(0.0,), poll_seconds=0.0)
        runner.carry_out()
    return gateway


def plan_of_journal(directory: Path) -> tuple[Plan, State]:
    """Return the plan and the state of what was carried out there."""
    state = State.of(read_journal(journal_of(directory)))
    return state.plan, state


def reported(
    directory: Path,
    judgments: Sequence[Judgment] = (),
    winners: Mapping[str, int] | None = None,
) -> Report:
    """Return the report of what was carried out there."""
    plan, state = plan_of_journal(directory)
    return report_of(plan, state, judgments, winners)
