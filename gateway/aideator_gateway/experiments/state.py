"""How far an experiment is, from its journal."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from aideator_gateway.experiments.entries import (
    AttemptName,
    Begun,
    Dropped,
    Ended,
    Planned,
    Started,
)
from aideator_gateway.experiments.outcome import Outcome, outcome_of
from aideator_gateway.experiments.plan import Plan, plan_of
from aideator_gateway.runs.model import Run, Variation


@dataclass(frozen=True)
class Try:
    """An attempt as it was made once."""

    name: AttemptName
    run: Run
    variation: Variation
    outcome: Outcome


@dataclass
class OpenRun:
    """A run that may still work, or may not even have been created."""

    planned: Planned
    run_id: str | None = None


@dataclass
class Spent:
    """What attempts have cost, in US dollars."""

    usd: float = 0.0
    unknown: int = 0
    """Attempts whose price is not known."""

    def add(self, run: Run) -> None:
        """Count a run; the scripted demo costs nothing, and so does who never asked a model."""
        for variation in run.variations:
            cost = variation.usage.cost_usd
            self.usd += cost or 0.0
            self.unknown += cost is None and variation.usage.tokens > 0 and not run.scripted


@dataclass
class State:
    """How far an experiment is.

    Attributes
    ----------
    begun
        Its versions, the newest last.
    tries
        What was made of each attempt, by the attempt's id, the newest last.
    open
        Runs that are not known to have ended, by key.
    commits
        Which commit a repository's ref was when the experiment first used it.
    """

    begun: list[Begun] = field(default_factory=list)
    tries: dict[str, list[Try]] = field(default_factory=dict)
    open: dict[str, OpenRun] = field(default_factory=dict)
    keys: set[str] = field(default_factory=set)
    commits: dict[tuple[str, str | None], str] = field(default_factory=dict)
    spent: Spent = field(default_factory=Spent)
    _set_up: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, entries: Iterable[Any]) -> "State":
        """Return how far the experiment of a journal is."""
        state = cls()
        for entry in entries:
            state.take(entry)
        return state

    @property
    def plan(self) -> Plan:
        """The plan of its newest version; it has begun."""
        begun = self.begun[-1]
        return plan_of(begun.experiment, begun.model, begun.share_usd)

    def take(self, entry: Any) -> None:
        """Take in the next entry of the journal."""
        match entry:
            case Begun():
                self.begun.append(entry)
            case Planned():
                self.keys.add(entry.key)
                self.open[entry.key] = OpenRun(entry)
            case Started() if entry.key in self.open:
                self.open[entry.key].run_id = entry.run_id
            case Dropped():
                self.open.pop(entry.key, None)
            case Ended() if entry.key in self.open:
                self._end(self.open.pop(entry.key).planned, entry.run)

    def _end(self, planned: Planned, run: Run) -> None:
        self.pin(planned, run)
        self.spent.add(run)
        for name, variation in zip(planned.attempts, run.variations, strict=True):
            outcome = outcome_of(run, variation)
            if outcome.passed is not None and not outcome.setup_failed:
                self._set_up.add(name.task)
            self.tries.setdefault(name.id, []).append(Try(name, run, variation, outcome))

    def pin(self, planned: Planned, run: Run) -> None:
        """Note which commit a run started from, as soon as that is known."""
        if run.commit is not None:
            self.commits.setdefault((planned.request.github_url, planned.ref), run.commit)

    def result(self, attempt_id: str) -> Try | None:
        """Return the try that counts for an attempt, ``None`` if there is none yet."""
        return next((one for one in self.tries.get(attempt_id, ()) if self.counts(one)), None)

    def counts(self, one: Try) -> bool:
        """Whether it is a result.

        A set-up that fails is the attempt's own doing only if it can work at all.
        """
        if one.outcome.setup_failed:
            return one.name.task in self._set_up
        return one.outcome.counts

    def passed(self, plan: Plan, condition: str) -> list[list[float]]:
        """Return what passed of a condition's attempts, 1 or 0, by task in the file's order."""
        found: dict[str, list[float]] = {task.name: [] for task in plan.experiment.tasks}
        for attempt in plan.attempts:
            result = self.result(attempt.id) if attempt.name == condition else None
            if result is not None and result.outcome.passed is not None:
                found[attempt.task.name].append(float(result.outcome.passed))
        return list(found.values())
