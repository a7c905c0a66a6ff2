"""Experiments with agents of known quality: a file, a model, the command that carries it out."""

import json
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from aideator_gateway.experiments.entries import Begun
from aideator_gateway.experiments.journal import read_journal
from aideator_gateway.experiments.state import State
from aideator_gateway.scripted_model.server import ScriptedModel
from tests.support.command import SECONDS
from tests.support.forked import Process, run, started
from tests.support.known_quality import CHECK, quality

FLAGS = ("--backend", "local", "--check-unsandboxed")
COST = 2 * (5_000 * 2 + 100 * 10) / 1e6
"""US dollars of one attempt: two turns at the default model's price."""


def described(
    repository: Path, *, tasks: int, repeats: int, budget: float, at_once: int,
    qualities: Sequence[int], more: str = "",
) -> str:  # fmt: skip
    """Return the experiment ``known``, as its file says it: each task with each quality."""
    text = (
        f'name = "known"\nrepeats = {repeats}\nbudget_usd = {budget}\nat_once = {at_once}\n'
        f'{more}\n[defaults]\nrepository = "{repository}"\ncheck = "{CHECK}"\n\n'
    )
    for number in range(tasks):
        text += f'[[tasks]]\nname = "task {number}"\nprompt = "Answer {number}."\n\n'
    for percent in qualities:
        text += f'[[conditions]]\nlabel = "{percent} %"\ninstructions = "{quality(percent)}"\n\n'
    return text


class Lab:
    """A directory with an experiment, and a model that it asks.

    Parameters
    ----------
    flags
        Of the command that carries it out.
    seconds
        How long that may take.
    """

    def __init__(
        self, directory: Path, repository: Path, model: ScriptedModel,
        flags: Sequence[str] = FLAGS, seconds: float = SECONDS,
    ) -> None:  # fmt: skip
        self._flags = flags
        self._seconds = seconds
        self.directory = directory
        self.repository = repository
        self.data = directory / "data"
        self.settings: dict[str, Any] = {
            "AIDEATOR_BASE_URL": model.base_url,
            "AIDEATOR_API_KEY": "key",
            "AIDEATOR_DATA_DIR": str(self.data),
        }

    def write(
        self, tasks: int = 2, repeats: int = 2, budget: float = 10.0, at_once: int = 2,
        qualities: tuple[int, ...] = (100, 50), more: str = "",
    ) -> Path:  # fmt: skip
        """Write the experiment's file."""
        text = described(
            self.repository, tasks=tasks, repeats=repeats, budget=budget, at_once=at_once,
            qualities=qualities, more=more,
        )  # fmt: skip
        file = self.directory / "experiment.toml"
        file.write_text(text)
        return file

    def run(self, *flags: str, expect: int = 0) -> "subprocess.CompletedProcess[bytes]":
        """Carry the experiment out."""
        words = ("experiment", "run", "experiment.toml", *self._flags, *flags)
        return run(
            *words, cwd=self.directory, expect=expect, seconds=self._seconds, **self.settings
        )

    @contextmanager
    def started(self) -> Iterator[Process]:
        """Start to carry it out."""
        words = ("experiment", "run", "experiment.toml", *self._flags)
        with (
            (self.directory / "said").open("ab") as said,
            started(*words, cwd=self.directory, output=said, **self.settings) as process,
        ):
            yield process

    @property
    def entries(self) -> list[Any]:
        """What the journal has."""
        return read_journal(self.data / "experiments/known.jsonl")

    def results(self) -> dict[str, list[list[float]]]:
        """Return what passed, by condition and task; each attempt has one result."""
        state = State.of(self.entries)
        plan = state.plan
        for attempt in plan.attempts:
            counted = [one for one in state.tries.get(attempt.id, []) if state.counts(one)]
            assert len(counted) == 1, attempt
        assert not state.open
        return {name: state.passed(plan, name) for name in plan.names}

    def runs(self) -> list[dict[str, Any]]:
        """Return all runs that the gateway knows."""
        words = ("list", "--json", "-n", "1000")
        found: list[dict[str, Any]] = json.loads(
            run(*words, cwd=self.directory, **self.settings).stdout
        )
        return found

    def check_each_made_once(self, attempts: int) -> None:
        """Check that so many attempts have one result each, and that all that was paid is known."""
        passed = self.results()
        assert sum(len(task) for tasks in passed.values() for task in tasks) == attempts
        state = State.of(self.entries)
        runs = self.runs()
        # Each run that was ever paid for is known, and its attempts have their one result or none.
        assert Counter(r["run_id"] for r in runs) == Counter(
            {one.run.run_id for tries in state.tries.values() for one in tries}
        )
        spent = sum(v["usage"]["cost_usd"] or 0.0 for r in runs for v in r["variations"])
        assert state.spent.usd == pytest.approx(spent)
        begun = [entry for entry in self.entries if isinstance(entry, Begun)][-1]
        assert spent <= begun.experiment.budget_usd
