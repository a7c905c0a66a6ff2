"""Which two attempts are to be judged next."""

import hashlib
import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from aideator.protocol import Status
from aideator_gateway.experiments.judgments import AttemptRef, Judgment, Shown
from aideator_gateway.experiments.plan import Plan
from aideator_gateway.experiments.state import State
from aideator_gateway.runs.model import CheckStatus, PatchStat


@dataclass(frozen=True)
class Candidate:
    """An attempt that can be judged: it completed, and its patch was kept."""

    task: str
    condition: str
    ref: AttemptRef
    patch: PatchStat
    check: CheckStatus | None

    @property
    def shown(self) -> Shown:
        """What a judgment says of it."""
        return Shown(
            run_id=self.ref.run_id,
            variation_id=self.ref.variation_id,
            condition=self.condition,
        )


@dataclass(frozen=True)
class Pair:
    """Two attempts at one task under different conditions, in no order that tells anything."""

    first: Candidate
    second: Candidate

    @property
    def task(self) -> str:
        """The task of both."""
        return self.first.task

    @cached_property
    def key(self) -> frozenset[AttemptRef]:
        """What tells it from all others."""
        return frozenset((self.first.ref, self.second.ref))

    @cached_property
    def conditions(self) -> frozenset[str]:
        """Which conditions are compared."""
        return frozenset((self.first.condition, self.second.condition))

    @cached_property
    def words(self) -> str:
        """The pair as a text, for lots."""
        return " ".join(
            f"{one.ref.run_id}/{one.ref.variation_id}" for one in (self.first, self.second)
        )


def candidates_of(plan: Plan, state: State) -> list[Candidate]:
    """Return the attempts of an experiment that can be judged."""
    found = []
    for attempt in plan.attempts:
        result = state.result(attempt.id)
        if result is None or result.variation.status is not Status.COMPLETED:
            continue
        variation = result.variation
        if variation.patch is None or variation.patch.truncated:
            continue
        ref = AttemptRef(run_id=result.run.run_id, variation_id=variation.variation_id)
        check = variation.check.status if variation.check else None
        found.append(Candidate(attempt.task.name, attempt.name, ref, variation.patch, check))
    return found


def pairs_of(candidates: Iterable[Candidate]) -> list[Pair]:
    """Return all pairs of attempts at one task under different conditions."""
    by_task: dict[str, list[Candidate]] = defaultdict(list)
    for one in candidates:
        by_task[one.task].append(one)
    return [
        Pair(first, second)
        for group in by_task.values()
        for first, second in itertools.combinations(
            sorted(group, key=lambda one: (one.ref.run_id, one.ref.variation_id)), 2
        )
        if first.condition != second.condition
    ]


class Order:
    """Says which pair is next for a judge, given all that was judged.

    Pairs that this judge has seen least come first, then those that all judges have; of these, the
    ones whose task and conditions were compared least, then whose attempts were seen least. What
    is left is decided by lot. The same is said for the same seed and judgments.

    Parameters
    ----------
    judgments
        Those that count, of all judges.
    judge
        Who is to judge; ``None`` for all who gave no name.
    seed
        Decides the lots.
    overlap
        Pairs that others have judged come first, so that it can be told how far judges agree.
    """

    def __init__(
        self, judgments: Sequence[Judgment], judge: str | None, seed: int, *, overlap: bool = False
    ) -> None:
        self.own = Counter(one.pair for one in judgments if one.judge == judge)
        self._judge = judge
        self._seed = seed
        self._overlap = overlap
        self._all = Counter(one.pair for one in judgments)
        sets = [frozenset((one.left.condition, one.right.condition)) for one in judgments]
        self._cells = Counter(zip((one.task for one in judgments), sets, strict=True))
        self._conditions = Counter(sets)
        self._tasks = Counter(one.task for one in judgments)
        self._attempts = Counter(ref for one in judgments for ref in one.pair)

    def next(self, pairs: Iterable[Pair]) -> Pair | None:
        """Return the next of these, ``None`` if there is none."""
        return min(pairs, key=self._place, default=None)

    def sides(self, pair: Pair) -> tuple[Candidate, Candidate]:
        """Return a pair as it is to be shown, left and right."""
        turned = self._lot("side", self._judge, self.own[pair.key], pair.words)[0] % 2
        return (pair.second, pair.first) if turned else (pair.first, pair.second)

    def _place(self, pair: Pair) -> tuple[int | bytes, ...]:
        key = pair.key
        return (
            self.own[key],
            int(self._overlap and self._all[key] == self.own[key]),
            0 if self._overlap else self._all[key],
            self._cells[pair.task, pair.conditions],
            self._conditions[pair.conditions],
            self._tasks[pair.task],
            sum(self._attempts[ref] for ref in key),
            self._lot("pair", pair.words),
        )

    def _lot(self, *words: object) -> bytes:
        return hashlib.sha256(" ".join(map(str, (self._seed, *words))).encode()).digest()
