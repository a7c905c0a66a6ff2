"""Blind judging: what a judge is shown next, and what they said of it."""

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field

from aideator_gateway.experiments.append_only import JournalError
from aideator_gateway.experiments.definition import Experiment
from aideator_gateway.experiments.directory import Version, journal_named, not_found, version_of
from aideator_gateway.experiments.journal import read_journal
from aideator_gateway.experiments.judgments import (
    AttemptRef,
    Judge,
    Judgment,
    JudgmentId,
    Verdict,
    add_judgment,
    judgments_file,
    read_judgments,
    take_back,
)
from aideator_gateway.experiments.pairs import Candidate, Order, Pair, candidates_of, pairs_of
from aideator_gateway.experiments.state import State
from aideator_gateway.runs.model import CheckStatus
from aideator_gateway.runs.problems import Problem, invalid_field

T = TypeVar("T")

Patch = Callable[[str, int], Awaitable[AsyncIterator[bytes]]]
"""Returns the patch of a variation in pieces; a ``Problem`` says that there is none."""


class Side(BaseModel):
    """One of the two attempts that lie before a judge; nothing here tells its condition."""

    run_id: str
    variation_id: int
    check: CheckStatus | None = Field(
        description="What its check said; not to be shown unless the judge asks for it."
    )


class JudgingPair(BaseModel):
    """Two attempts at one task, sides by lot."""

    task: str
    prompt: str
    left: Side
    right: Side


class Judging(BaseModel):
    """Answer to ``GET /experiments/{name}/judging``."""

    pair: JudgingPair | None = Field(description="What to judge next; null if nothing is left.")
    pairs: int = Field(description="Pairs that can be judged.")
    judged: int = Field(description="Those of them that this judge has judged, or skipped.")
    identical: int = Field(description="Pairs that nobody need look at: both patches are the same.")
    judgments: int = Field(description="Judgments that count, of all judges.")
    last: str | None = Field(description="Id of this judge's last judgment, which can be undone.")


class NewJudgment(BaseModel):
    """Body of ``POST /experiments/{name}/judgments``."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    id: JudgmentId = Field(
        description="Chosen by the sender: sent again, it is the same judgment.",
        examples=["5f0c1c0d7a9e4b21"],
    )
    left: AttemptRef
    right: AttemptRef
    verdict: Verdict
    judge: Judge | None = Field(default=None, description="Who judged, if they wish to say so.")
    seconds: float | None = Field(default=None, ge=0, description="How long it took.")


@dataclass(frozen=True)
class _Known:
    """What a journal says, as long as it stays as it is."""

    version: Version
    experiment: Experiment
    candidates: list[Candidate]
    pairs: list[Pair]


class Judgings:
    """The judging of all experiments of a data directory.

    Parameters
    ----------
    directory
        Where their journals are.
    patch
        Of an attempt.
    """

    def __init__(self, directory: Path, patch: Patch) -> None:
        self._directory = directory
        self._patch = patch
        self._known: dict[str, _Known] = {}
        self._digests: dict[AttemptRef, bytes | None] = {}

    async def next(
        self, name: str, judge: str | None, *, again: bool = False, overlap: bool = False
    ) -> Judging:
        """Return what a judge is to be shown, and how far the judging is.

        Parameters
        ----------
        again
            Pairs come once more when all were judged.
        overlap
            Pairs that others have judged come first.

        Raises
        ------
        Problem
            If there is no such experiment.
        """
        known = await _thread(self._read, name)
        judgments = await _thread(read_judgments, self._judgments(name))
        await self._compare(known.candidates)
        order = Order(judgments, judge, known.experiment.seed, overlap=overlap)
        while True:
            # Of many pairs that takes a while, in which others want answers as well.
            there, pairs, pair = await asyncio.to_thread(self._chosen, known, order, again)
            # A run may have been deleted, which is seen when its patch is asked for.
            if pair is None or not await self._lost(pair):
                break
        own = [one for one in judgments if one.judge == judge]
        return Judging(
            pair=pair and _shown(known.experiment, pair, order),
            pairs=len(pairs),
            judged=sum(bool(order.own[one.key]) for one in pairs),
            identical=there - len(pairs),
            judgments=len(judgments),
            last=own[-1].id if own else None,
        )

    def _chosen(
        self, known: _Known, order: Order, again: bool
    ) -> tuple[int, list[Pair], Pair | None]:
        """Return how many pairs there are, those whose patches differ, and the next of these."""
        there = [pair for pair in known.pairs if not self._gone(pair)]
        pairs = [pair for pair in there if not self._same(pair)]
        pair = order.next(pairs if again else [one for one in pairs if not order.own[one.key]])
        return len(there), pairs, pair

    async def judge(self, name: str, said: NewJudgment) -> bool:
        """Write down what a judge said, and return whether it is new.

        Raises
        ------
        Problem
            If there is no such experiment, or no such pair in it.
        """
        known = await _thread(self._read, name)
        found = {one.ref: one for one in known.candidates}
        left, right = found.get(said.left), found.get(said.right)
        for field, one in (("left", left), ("right", right)):
            if one is None:
                raise invalid_field(field, f"This is no attempt of {name} that can be judged.")
        assert left and right  # noqa: S101 - looked at above
        if left.task != right.task or left.condition == right.condition:
            raise invalid_field("right", "Name attempts at one task under different conditions.")
        judgment = Judgment(
            id=said.id, task=left.task, left=left.shown, right=right.shown,
            verdict=said.verdict, judge=said.judge, seconds=said.seconds,
        )  # fmt: skip
        return await _thread(add_judgment, self._judgments(name), judgment)

    async def take_back(self, name: str, judgment_id: str) -> None:
        """Take a judgment back.

        Raises
        ------
        Problem
            If there is no such experiment, or no such judgment.
        """
        await _thread(self._read, name)
        if not await _thread(take_back, self._judgments(name), judgment_id):
            raise Problem("judgment_not_found", f"{name} has no judgment {judgment_id!r:.80}.")

    def _judgments(self, name: str) -> Path:
        return judgments_file(self._directory / f"{name}.jsonl")

    def _read(self, name: str) -> _Known:
        """Return what the journal says; it is read anew when it has changed."""
        path = journal_named(self._directory, name)
        version = version_of(path) if path else None
        if path and version:
            if (known := self._known.get(name)) and known.version == version:
                return known
            state = State.of(read_journal(path))
            if state.begun:
                known = self._known[name] = _known(version, state)
                return known
        raise not_found(name)

    async def _compare(self, candidates: Iterable[Candidate]) -> None:
        """Look at patches that may be the same; most are told apart by their size."""
        alike: dict[tuple[object, ...], list[Candidate]] = defaultdict(list)
        for one in candidates:
            alike[one.task, *one.patch.model_dump().values()].append(one)
        for group in alike.values():
            if len({one.condition for one in group}) > 1:
                for one in group:
                    await self._digest(one)

    async def _lost(self, pair: Pair) -> bool:
        """Whether an attempt of the pair is not there any more."""
        digests = [await self._digest(one) for one in (pair.first, pair.second)]
        return None in digests

    async def _digest(self, one: Candidate) -> bytes | None:
        """Return what tells a patch from others, ``None`` where it is gone."""
        if one.ref not in self._digests:
            self._digests[one.ref] = await self._made_digest(one.ref)
        return self._digests[one.ref]

    async def _made_digest(self, ref: AttemptRef) -> bytes | None:
        digest = hashlib.sha256()
        try:
            async for piece in await self._patch(ref.run_id, ref.variation_id):
                digest.update(piece)
        except Problem:
            return None
        return digest.digest()

    def _gone(self, pair: Pair) -> bool:
        return any(self._digests.get(one.ref, b"") is None for one in (pair.first, pair.second))

    def _same(self, pair: Pair) -> bool:
        digest = self._digests.get(pair.first.ref)
        return digest is not None and digest == self._digests.get(pair.second.ref)


async def _thread(work: Callable[..., T], *arguments: object) -> T:
    """Do in a thread what reads or writes files."""
    try:
        return await asyncio.to_thread(work, *arguments)
    except JournalError as error:
        raise Problem("journal_unusable", str(error)) from None


def _known(version: Version, state: State) -> _Known:
    plan = state.plan
    candidates = candidates_of(plan, state)
    return _Known(version, plan.experiment, candidates, pairs_of(candidates))


def _shown(experiment: Experiment, pair: Pair, order: Order) -> JudgingPair:
    left, right = (
        Side(run_id=one.ref.run_id, variation_id=one.ref.variation_id, check=one.check)
        for one in order.sides(pair)
    )
    prompt = next(task.prompt for task in experiment.tasks if task.name == pair.task)
    return JudgingPair(task=pair.task, prompt=prompt, left=left, right=right)
