"""Which attempts an experiment takes, in which order, and as which runs."""

import hashlib
import itertools
import json
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from aideator.protocol import MAX_VARIATIONS, Condition, Limits
from aideator_gateway.experiments.definition import Experiment, Task
from aideator_gateway.runs.model import NewRun

T = TypeVar("T")

RESERVE = 0.1
"""Part of the budget that is kept back, for attempts that have to be repeated because something
else failed, and for each attempt's last answer, which may go over its share."""

SETUP_EXIT = 97
"""Exit code of a check whose set-up failed."""

SETUP_FAILED = "aideator: the set-up failed"
"""What such a check prints last."""


@dataclass(frozen=True)
class PlannedAttempt:
    """One condition's attempt at one task.

    Attributes
    ----------
    id
        What tells it from all others, also in a later version of the file: an attempt that is
        changed in anything is another one.
    condition
        With its model, also where the file names none.
    repeat
        Which one of how many, from 1.
    """

    id: str
    task: Task
    condition: Condition
    repeat: int

    @property
    def name(self) -> str:
        """What the condition is called."""
        return self.condition.name or ""


Block = tuple[PlannedAttempt, ...]
"""Attempts of one repeat at one task, which are made at the same time, in one run."""


@dataclass(frozen=True)
class Plan:
    """All attempts of an experiment, in order.

    Attributes
    ----------
    conditions
        In the file's order, each with its model.
    blocks
        In the order in which they begin.
    share_usd
        What each attempt may cost that has no limit of its own.
    """

    experiment: Experiment
    conditions: tuple[Condition, ...]
    blocks: tuple[Block, ...]
    share_usd: float

    @cached_property
    def attempts(self) -> tuple[PlannedAttempt, ...]:
        """All of them."""
        return tuple(attempt for block in self.blocks for attempt in block)

    @property
    def names(self) -> list[str]:
        """What the conditions are called, in the file's order."""
        return [condition.name or "" for condition in self.conditions]

    @property
    def comparisons(self) -> list[tuple[str, str]]:
        """Pairs of conditions that are compared: each with the baseline, or each with each."""
        names, baseline = self.names, self.experiment.baseline
        if baseline is not None:
            return [(baseline, name) for name in names if name != baseline]
        return list(itertools.combinations(names, 2))

    def cap(self, condition: Condition) -> float:
        """Return what one attempt of a condition may cost, in US dollars."""
        own = condition.limits.max_cost_usd if condition.limits else None
        return own or self.experiment.limits.max_cost_usd or self.share_usd

    def request(self, attempts: Sequence[PlannedAttempt], ref: str | None) -> NewRun:
        """Return the run that makes some attempts of one block.

        Each has its own share and none of what others leave, so that they stay comparable.

        Parameters
        ----------
        ref
            The commit to start from, where it is known by now.
        """
        task = attempts[0].task
        conditions = [attempt.condition for attempt in attempts]
        caps = [self.cap(condition) for condition in conditions]
        given = self.experiment.limits.model_dump(exclude_none=True)
        given |= {
            "max_cost_usd": self.experiment.limits.max_cost_usd or self.share_usd,
            # Divided by the number of attempts, it is below nobody's own.
            "max_run_cost_usd": math.nextafter(max(caps) * len(caps), math.inf),
        }
        return NewRun(
            github_url=task.repository,
            prompt=task.prompt,
            variations=len(conditions),
            ref=ref or task.ref,
            conditions=conditions,
            limits=Limits(**given),
            check=check_of(task),
        )


def check_of(task: Task) -> str | None:
    """Return the command of a run's check: the set-up, then the task's own."""
    if task.setup is None or task.check is None:
        return task.check
    return (
        f"( {task.setup}\n) || {{ printf '\\n%s\\n' '{SETUP_FAILED}'; exit {SETUP_EXIT}; }}\n"
        f"{task.check}"
    )


def plan_of(experiment: Experiment, model: str, share_usd: float | None = None) -> Plan:
    """Return the plan of an experiment.

    Each repeat goes through all tasks before the next one begins, in an order drawn anew: what
    changes while an experiment runs (a server's load, a model behind its name) meets all
    tasks and conditions alike, and an experiment that is stopped has as many attempts of each.
    All conditions try a task at the same time, as variations of one run; more than a run has
    room for are dealt out by lot, and their places in it as well.

    Parameters
    ----------
    model
        For conditions that name none.
    share_usd
        What an attempt may cost, where an earlier version of the file decided that: attempts
        of one experiment are only comparable if it stays.
    """
    conditions = [
        condition.model_copy(update={"model": condition.model or model})
        for condition in experiment.conditions
    ]
    blocks: list[Block] = []
    for repeat in range(1, experiment.repeats + 1):
        order = _shuffled(experiment.tasks, experiment.seed, repeat)
        for task in order:
            mixed = _shuffled(conditions, experiment.seed, repeat, task.name)
            blocks += [
                tuple(_attempt(experiment, task, condition, repeat) for condition in part)
                for part in _parts(mixed)
            ]
    share = share_usd or (1 - RESERVE) * experiment.budget_usd / experiment.attempts
    return Plan(experiment, tuple(conditions), tuple(blocks), share)


def _attempt(
    experiment: Experiment, task: Task, condition: Condition, repeat: int
) -> PlannedAttempt:
    said = {
        "task": task.model_dump(exclude={"tags"}, exclude_none=True),
        "condition": condition.model_dump(exclude_none=True),
        # But for its share of the budget, which an experiment that grows keeps.
        "limits": experiment.limits.model_dump(exclude_none=True),
        "repeat": repeat,
    }
    text = json.dumps(said, sort_keys=True)
    return PlannedAttempt(hashlib.sha256(text.encode()).hexdigest()[:20], task, condition, repeat)


def _shuffled(items: Sequence[T], *seed: object) -> list[T]:
    mixed = list(items)
    # The same on every machine and in every version of Python: a text is hashed into a seed.
    random.Random(" ".join(map(str, seed))).shuffle(mixed)  # noqa: S311 - nobody is to be fooled
    return mixed


def _parts(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Cut into parts of nearly the same size, none larger than a run has room for."""
    number = math.ceil(len(items) / MAX_VARIATIONS)
    for part in range(number):
        yield items[part * len(items) // number : (part + 1) * len(items) // number]
