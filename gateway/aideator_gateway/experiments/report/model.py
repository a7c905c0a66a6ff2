"""The one model of a report: whatever shows it shows this, and computes nothing."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from aideator_gateway.experiments.statistics.estimate import Estimate

Verdict = Literal["more", "fewer", "cannot_tell"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class TaskFacts(_Part):
    """What was asked."""

    name: str
    repository: str
    ref: str | None
    commit: str | None = Field(description="That all its attempts start from; null if not known.")
    prompt: str
    check: str | None
    setup: str | None
    tags: list[str]


class PassAtK(_Part):
    """How likely one of so many attempts passes."""

    k: int
    chance: Estimate


class ConditionReport(_Part):
    """How one condition did."""

    name: str
    model: str
    provider: str | None
    settings: dict[str, str] = Field(description="What else is set, such as instructions.")
    baseline: bool
    planned: int
    done: int
    checked: int = Field(description="Attempts of which a check says whether they pass.")
    passed: int
    repeated: int = Field(description="Times that the harness failed; they count for nothing.")
    ended: dict[str, int] = Field(description="How attempts ended, by stop reason or code.")
    pass_rate: Estimate | None
    pass_at_k: list[PassAtK]
    cost_usd: Estimate | None = Field(description="Median, as those that follow.")
    tokens: Estimate | None
    seconds: Estimate | None
    turns: Estimate | None
    patch_lines: Estimate | None = Field(description="Lines added and removed.")
    mean_cost_usd: float | None
    cost_unknown: int = Field(description="Attempts whose model has no known price.")
    repeats_share: float | None = Field(
        description="Part of the spread of passing that is between repeats of one task; the rest "
        "is between tasks."
    )


class Compared(_Part):
    """A difference, as a mean over tasks: what the second condition has more."""

    difference: Estimate
    p_value: float | None
    adjusted_p_value: float | None = Field(description="For all comparisons together, by Holm.")
    method: str | None


class Comparison(_Part):
    """Two conditions beside each other, task by task."""

    first: str
    second: str
    pass_rate: Compared | None
    cost_usd: Compared | None
    verdict: Verdict | None = Field(
        description="Whether the second one passes more or fewer; null without checks."
    )
    gained: list[str] = Field(description="Tasks that flip: only the second one does them.")
    lost: list[str]
    sentence: str


class Preference(_Part):
    """How people chose one condition."""

    condition: str
    win_rate: Estimate | None
    strength: Estimate | None = Field(description="Bradley-Terry; null where choices do not tell.")


class People(_Part):
    """What people chose."""

    comparisons: int
    judged: int = Field(description="Comparisons that were judged without knowing the condition.")
    selected: int = Field(description="Comparisons that follow from winners of runs.")
    agreement: Estimate | None = Field(
        description="Krippendorff's alpha of judges who gave a name: 1 is full agreement, 0 is "
        "chance; null where no two judged the same pair."
    )
    preferences: list[Preference]


class AttemptFacts(_Part):
    """One attempt, and where its patch and transcript are."""

    id: str
    task: str
    condition: str
    repeat: int
    done: bool
    passed: bool | None
    ended: str | None = Field(description="Stop reason, or code.")
    why: str | None = Field(description="Why it has no result, or no better one.")
    tries: int
    run_id: str | None
    variation_id: int | None
    model: str
    cost_usd: float | None
    tokens: int | None
    turns: int | None
    seconds: float | None
    files: int | None
    insertions: int | None
    deletions: int | None
    commit: str | None
    backend: str | None
    isolation: str | None
    started_at: datetime | None
    ended_at: datetime | None


class Repetition(_Part):
    """All that it takes to do it again."""

    file: str = Field(description="The experiment as TOML, with commits in place of refs.")
    models: list[str]
    versions: dict[str, list[str]]
    backends: list[str]
    seed: int
    limits: dict[str, float]
    share_usd: float = Field(description="What an attempt may cost that has no limit of its own.")
    began_at: datetime | None
    ended_at: datetime | None


class Report(_Part):
    """What an experiment says."""

    name: str
    description: str | None
    scripted: bool = Field(description="The model is the scripted demo, and no LLM.")
    planned: int
    done: int
    repeats: int
    baseline: str | None
    budget_usd: float
    spent_usd: float = Field(description="Of all attempts, also those that do not count.")
    spent_unknown: int = Field(description="Attempts of unknown price.")
    notes: list[str] = Field(description="What to know before reading on.")
    conditions: list[ConditionReport]
    comparisons: list[Comparison]
    people: People | None
    tasks: list[TaskFacts]
    attempts: list[AttemptFacts]
    repetition: Repetition

    @property
    def complete(self) -> bool:
        """Whether each attempt has a result."""
        return self.done == self.planned

    def cells(self) -> dict[tuple[str, str], list[AttemptFacts]]:
        """Return the attempts by task and condition, in the order of their repeats."""
        found: dict[tuple[str, str], list[AttemptFacts]] = {}
        for attempt in sorted(self.attempts, key=lambda one: one.repeat):
            found.setdefault((attempt.task, attempt.condition), []).append(attempt)
        return found
