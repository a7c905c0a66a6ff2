"""What a run is: what is asked for, and how it and its variations stand.

The same models validate a request and describe an answer, so that a rule has one home.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    ValidationInfo,
    computed_field,
    field_validator,
    model_validator,
)

from aideator.protocol import (
    DEFAULT_VARIATIONS,
    MAX_VARIATIONS,
    Condition,
    ErrorCode,
    Limits,
    Status,
    StopReason,
    Usage,
    conditions_of,
)
from aideator.protocol.commands import WAS_STOPPED
from aideator_gateway.texts import ARGUMENT, NonBlank

BRIEF = 200
"""Characters of each long text that a list of runs carries."""


def _count(value: Any) -> Any:
    if type(value) is not int or not 1 <= value <= MAX_VARIATIONS:
        raise ValueError(f"Use an integer from 1 to {MAX_VARIATIONS}, or leave it out")
    return value


VariationCount = Annotated[StrictInt, Field(ge=1, le=MAX_VARIATIONS), BeforeValidator(_count)]


class NewRun(BaseModel):
    """Body of ``POST /runs``."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={
            "example": {
                "github_url": "https://github.com/user/repo",
                "prompt": "Refactor the main.py file to be more modular.",
                "variations": 3,
            }
        },
    )

    github_url: Annotated[NonBlank, Field(max_length=2000)] = Field(
        description="Repository to work on.", examples=["https://github.com/user/repo"]
    )
    prompt: NonBlank = Field(
        description="What every agent is asked to do.",
        examples=["Refactor the main.py file to be more modular."],
    )
    variations: VariationCount = Field(
        default=DEFAULT_VARIATIONS,
        description="Number of variations to generate. Recommended 3, max 5.",
        examples=[3],
    )
    ref: NonBlank | None = Field(
        default=None, description="Branch, tag or full commit id; else the default branch."
    )
    conditions: (
        Annotated[list[Condition], Field(min_length=1, max_length=MAX_VARIATIONS)] | None
    ) = Field(default=None, description="What sets each variation apart, in order.")
    limits: Limits | None = Field(
        default=None, description="What one variation may use; else the defaults."
    )
    check: Annotated[str, Field(max_length=30_000, pattern=ARGUMENT)] | None = Field(
        default=None,
        description="Command run on every result, without any key: in a container of its own, or "
        "in a bubblewrap sandbox without network. Refused by a server that has neither.",
    )

    @model_validator(mode="before")
    @classmethod
    def _as_many_as_conditions(cls, data: Any) -> Any:
        given = data.get("conditions") if isinstance(data, dict) else None
        # Too many or none are an error of the conditions' own.
        if isinstance(given, list) and 1 <= len(given) <= MAX_VARIATIONS:
            return {"variations": len(given), **data}
        return data

    @field_validator("conditions", mode="after")
    @classmethod
    def _agree_with_variations(
        cls, conditions: list[Condition] | None, info: ValidationInfo
    ) -> list[Condition] | None:
        # Variations that cannot be used are missing here, and have an error of their own.
        count = info.data.get("variations")
        if conditions is not None and count is not None:
            conditions_of(conditions, count)
        return conditions

    def condition(self, variation_id: int) -> Condition:
        """Return the condition of one variation, ids from 1."""
        return self.conditions[variation_id - 1] if self.conditions else Condition()


class PatchStat(BaseModel):
    """Size of a variation's patch."""

    bytes: int
    files: int
    insertions: int
    deletions: int
    truncated: StrictBool = False


class _WithRemedy(BaseModel):
    """Something that has a ``code`` when it went wrong."""

    code: ErrorCode | None = None
    message: str | None = None

    @computed_field(description="What a person can do about it.")  # type: ignore[prop-decorator]  # pydantic's own way
    @property
    def remedy(self) -> str | None:
        """What a person can do about it, from the one table of remedies."""
        return self.code and self.code.remedy


class CheckStatus(StrEnum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    NOT_RUN = "not_run"


class CheckResult(BaseModel):
    """What the check command said about a variation's result."""

    status: CheckStatus = Field(
        description="passed: exit code 0; failed: any other; timed_out: stopped because it took "
        "too long; cancelled, interrupted: the run was cancelled, or the gateway ended, before "
        "it was through; not_run: it could not be run."
    )
    command: str
    exit_code: int | None = Field(description="Null if it was stopped or could not be run.")
    seconds: float
    output: str = Field(description="The end of its output, or why it could not be run.")
    passed: StrictBool

    @model_validator(mode="before")
    @classmethod
    def _status(cls, data: Any) -> Any:
        """Say how it ended where only its figures are known."""
        if not isinstance(data, dict) or "status" in data:
            return data
        if data.get("exit_code") is not None:
            status = CheckStatus.PASSED if data.get("passed") else CheckStatus.FAILED
        else:
            last = str(data.get("output", "")).rsplit("\n", 1)[-1]
            stopped = last.startswith(WAS_STOPPED)
            status = CheckStatus.TIMED_OUT if stopped else CheckStatus.NOT_RUN
        return {"status": status, **data}


class Variation(_WithRemedy):
    """One attempt of a run."""

    variation_id: int
    status: Status
    condition: Condition
    stop_reason: StopReason | None = None
    summary: str | None = None
    turns: int = 0
    seconds: float | None = None
    usage: Usage = Usage()
    patch: PatchStat | None = None
    check: CheckResult | None = Field(
        default=None,
        description="What the run's check said; it comes behind the variation's end, and the "
        "run's end behind all of them. Null once the run has ended only if it has no check.",
    )


class Selection(BaseModel):
    """One choice of a winner, or the finding that no attempt is good enough."""

    variation_id: int | None = Field(description="Null: none of them.")
    reason: str | None
    selected_at: datetime


class Run(_WithRemedy):
    """One prompt on one repository, with its variations."""

    run_id: str
    status: Status
    github_url: str
    ref: str | None
    prompt: str
    commit: str | None = Field(default=None, description="Commit that all variations start from.")
    backend: str | None = None
    isolation: str | None = Field(
        default=None, description="dagger, bubblewrap or process: what kept the agents apart."
    )
    copies: str | None = Field(
        default=None,
        description="overlay, reflink or copy: how each variation got its own tree of files. Null "
        "until that is known, and in the containers of an engine, which has layers of its own.",
    )
    model: str
    scripted: bool = Field(description="The model is the scripted demo, not an LLM.")
    limits: Limits
    check: str | None = None
    created_at: datetime
    ended_at: datetime | None = None
    queue_position: int | None = Field(
        default=None,
        description="Which turn is its own, while it waits for one; null for runs that do not, "
        "and for those of another gateway.",
    )
    winning_variation_id: int | None = None
    selections: list[Selection] = []
    variations: list[Variation]


class Readiness(BaseModel):
    """Answer to ``GET /readyz``: whether a new run could work, and where."""

    ready: bool
    backend: str
    isolation: str | None
    reason: str = Field(description="Why this backend, or what is missing.")
    checks: bool = Field(default=False, description="Whether a run's check can be carried out.")
    scripted: bool
    model: str
    providers: dict[str, str | None] = Field(
        default={}, description="Model servers by name, each with why it cannot be asked, or null."
    )
    styles: list[str] = Field(default=[], description="Styles that conditions may name.")
