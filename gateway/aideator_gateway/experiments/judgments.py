"""What people said of pairs of attempts that lay before them, one line a judgment.

The file lies beside the experiment's journal, and is only ever added to: a judgment that is taken
back stays in it, with a line that says so.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter

from aideator_gateway.experiments.append_only import AppendOnly, locked, read_entries
from aideator_gateway.experiments.statistics.choices import Choice
from aideator_gateway.texts import SPACE

Verdict = Literal["left", "right", "tie", "skip"]
"""Which one is better; ``tie`` for neither, ``skip`` for no answer."""

JudgmentId = Annotated[str, StringConstraints(strict=True, pattern=r"^[0-9a-zA-Z_-]{8,64}$")]
"""Chosen by who sends a judgment: sent again, it is the same one."""

Judge = Annotated[
    str,
    StringConstraints(
        strict=True, max_length=80, pattern=rf"^[^{SPACE}\x00-\x1f\x7f][^\x00-\x1f\x7f]*$"
    ),
]
JUDGE_RULE = "Use 1 to 80 characters, no control characters, and no space in front."
"""What a ``Judge`` is, for who sent another one."""

SCORES: dict[Verdict, float] = {"left": 1.0, "right": 0.0, "tie": 0.5}

SUFFIX = ".judgments.jsonl"


class AttemptRef(BaseModel):
    """Where an attempt is found."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run_id: str
    variation_id: int


class Shown(BaseModel):
    """One of the two attempts that lay before a judge."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    run_id: str
    variation_id: int
    condition: str
    """What the judge did not know."""

    @property
    def ref(self) -> AttemptRef:
        """Where it is found."""
        return AttemptRef(run_id=self.run_id, variation_id=self.variation_id)


def _now() -> datetime:
    return datetime.now(UTC)


class Judgment(BaseModel):
    """What somebody said of a pair."""

    # Of a later version there may be more in it.
    model_config = ConfigDict(frozen=True, extra="ignore")

    entry: Literal["judgment"] = "judgment"
    time: datetime = Field(default_factory=_now)
    id: str
    task: str
    left: Shown
    right: Shown
    verdict: Verdict
    judge: str | None = None
    """Who it was, if that was said; never guessed."""
    seconds: float | None = None
    """How long it took."""

    @property
    def pair(self) -> frozenset[AttemptRef]:
        """Which two attempts lay there, on whichever side."""
        return frozenset((self.left.ref, self.right.ref))

    @property
    def winner(self) -> Shown | None:
        """The better one, ``None`` without one."""
        return {"left": self.left, "right": self.right}.get(self.verdict)

    @property
    def loser(self) -> Shown | None:
        """The other one, ``None`` without a winner."""
        return {"left": self.right, "right": self.left}.get(self.verdict)


class TakenBack(BaseModel):
    """A judgment does not count any more."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    entry: Literal["taken_back"] = "taken_back"
    time: datetime = Field(default_factory=_now)
    id: str
    """The judgment's."""


Line = Annotated[Judgment | TakenBack, Field(discriminator="entry")]

_adapter: TypeAdapter[Line] = TypeAdapter(Line)


def judgments_file(journal: Path) -> Path:
    """Return where the judgments of an experiment are, given its journal."""
    return journal.with_name(journal.name.removesuffix(".jsonl") + SUFFIX)


def read_judgments(path: Path) -> list[Judgment]:
    """Return the judgments that count, in order; none if there is no file.

    Raises
    ------
    JournalError
        If the file cannot be read.
    """
    return in_force(read_entries(path, _adapter))


def in_force(lines: Iterable[Line]) -> list[Judgment]:
    """Return the judgments that were not taken back."""
    found: dict[str, Judgment] = {}
    for line in lines:
        if isinstance(line, Judgment):
            found.setdefault(line.id, line)
        else:
            found.pop(line.id, None)
    return list(found.values())


def add_judgment(path: Path, judgment: Judgment) -> bool:
    """Write a judgment down, once, and return when it is on disk.

    Returns
    -------
    Whether it is new: one that was sent again is there already.

    Raises
    ------
    JournalError
        If it cannot be written.
    """
    with locked(path, wait=True) as descriptor:
        known = {line.id for line in read_entries(path, _adapter)}
        if judgment.id in known:
            return False
        AppendOnly(path, descriptor).append(judgment)
        return True


def take_back(path: Path, judgment_id: str) -> bool:
    """Take a judgment back.

    Returns
    -------
    Whether there is such a judgment; one that was taken back before stays so.

    Raises
    ------
    JournalError
        If it cannot be written.
    """
    if not path.exists():
        return False
    with locked(path, wait=True) as descriptor:
        lines = read_entries(path, _adapter)
        if any(one.id == judgment_id for one in in_force(lines)):
            AppendOnly(path, descriptor).append(TakenBack(id=judgment_id))
        return any(line.id == judgment_id for line in lines)


def latest(judgments: Iterable[Judgment]) -> list[Judgment]:
    """Return what counts where somebody judged a pair more than once: what they said last.

    Two judgments without a name may be two people's, and both count.
    """
    found: dict[object, Judgment] = {}
    for one in judgments:
        found[one.id if one.judge is None else (one.judge, one.pair)] = one
    return list(found.values())


def choices_of(
    judgments: Iterable[Judgment], tasks: Sequence[str], conditions: Sequence[str]
) -> list[Choice]:
    """Return judgments as the statistics take them: a tie is half a win, a skip is no choice.

    Parameters
    ----------
    tasks, conditions
        Names, of which choices give the numbers. A judgment of others is left out: they are no
        part of the experiment any more.
    """
    return [
        Choice(
            task=tasks.index(one.task),
            first=conditions.index(one.left.condition),
            second=conditions.index(one.right.condition),
            score=SCORES[one.verdict],
        )
        for one in latest(judgments)
        if one.verdict in SCORES
        and one.task in tasks
        and one.left.condition in conditions
        and one.right.condition in conditions
    ]


def said_of_pairs(judgments: Iterable[Judgment]) -> dict[str, list[list[float]]]:
    """Return what judges who gave a name said of each pair, by task, for their agreement.

    A tie is 0.5, and 1 is the same attempt of a pair for all judges, on whichever side it lay.
    """
    found: dict[str, dict[frozenset[AttemptRef], list[float]]] = {}
    for one in latest(judgments):
        if one.judge is None or one.verdict not in SCORES:
            continue
        turned = (one.left.run_id, one.left.variation_id) > (
            one.right.run_id, one.right.variation_id,
        )  # fmt: skip
        score = SCORES[one.verdict]
        said = found.setdefault(one.task, {}).setdefault(one.pair, [])
        said.append(1 - score if turned else score)
    return {task: list(pairs.values()) for task, pairs in found.items()}
