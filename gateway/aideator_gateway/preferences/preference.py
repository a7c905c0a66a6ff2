"""What somebody, or a check, preferred to what."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from aideator.protocol import Status
from aideator_gateway.experiments.judgments import Judgment, Shown
from aideator_gateway.runs.model import CheckStatus, Run, Variation

Source = Literal["judgment", "selection", "check"]

PASSED: dict[CheckStatus, bool] = {
    CheckStatus.PASSED: True,
    CheckStatus.FAILED: False,
    CheckStatus.TIMED_OUT: False,
}
"""What a check said of a result; the others say nothing of it."""


@dataclass(frozen=True)
class Attempt:
    """An attempt of a run that has ended."""

    run: Run
    variation: Variation

    @property
    def completed(self) -> bool:
        """Whether it ended as it should, or at one of its limits."""
        return self.variation.status is Status.COMPLETED

    @property
    def passed(self) -> bool | None:
        """What its check said, ``None`` if nothing."""
        check = self.variation.check
        return PASSED.get(check.status) if check else None


@dataclass(frozen=True)
class Origin:
    """Where a preference comes from."""

    source: Source
    time: datetime | None
    experiment: str | None = None
    task: str | None = None
    judge: str | None = None


@dataclass(frozen=True)
class Preference:
    """One attempt was better than another."""

    chosen: Attempt
    rejected: Attempt
    origin: Origin

    @property
    def comparable(self) -> bool:
        """Whether both completed, and were asked the same of the same commit."""
        one, other = self.chosen, self.rejected
        return (
            one.completed
            and other.completed
            and one.run.prompt == other.run.prompt
            and one.run.github_url == other.run.github_url
            and one.run.commit == other.run.commit
        )


def attempts_of(run: Run) -> list[Attempt]:
    """Return all attempts of a run."""
    return [Attempt(run, variation) for variation in run.variations]


def from_selection(run: Run, experiment: str | None = None) -> Iterator[Preference]:
    """Give what a run's winner was preferred to: the other attempts that completed."""
    if run.winning_variation_id is None:
        return
    made = {one.variation.variation_id: one for one in attempts_of(run)}
    time = run.selections[-1].selected_at if run.selections else None
    winner = made.pop(run.winning_variation_id)
    for other in made.values():
        if other.completed:
            yield Preference(winner, other, Origin("selection", time, experiment))


def from_judgment(judgment: Judgment, runs: "dict[str, Run]", experiment: str) -> Preference | None:
    """Return what a judgment prefers, ``None`` if nothing, or if a run is gone."""
    winner, loser = judgment.winner, judgment.loser
    if winner is None or loser is None:
        return None
    chosen, rejected = _found(winner, runs), _found(loser, runs)
    if chosen is None or rejected is None:
        return None
    origin = Origin("judgment", judgment.time, experiment, judgment.task, judgment.judge)
    return Preference(chosen, rejected, origin)


def from_checks(
    attempts: Sequence[Attempt], experiment: str | None = None, task: str | None = None
) -> Iterator[Preference]:
    """Give each attempt at one task that passed over each that failed."""
    completed = [one for one in attempts if one.completed]
    passed = [one for one in completed if one.passed is True]
    failed = [one for one in completed if one.passed is False]
    for chosen, rejected in itertools.product(passed, failed):
        times = [one.run.ended_at for one in (chosen, rejected) if one.run.ended_at]
        origin = Origin("check", max(times, default=None), experiment, task)
        yield Preference(chosen, rejected, origin)


def labelled(attempts: Iterable[Attempt]) -> Iterator[Attempt]:
    """Give those that completed, and of which a check said something."""
    return (one for one in attempts if one.completed and one.passed is not None)


def _found(shown: Shown, runs: "dict[str, Run]") -> Attempt | None:
    run = runs.get(shown.run_id)
    for one in attempts_of(run) if run else ():
        if one.variation.variation_id == shown.variation_id:
            return one
    return None
