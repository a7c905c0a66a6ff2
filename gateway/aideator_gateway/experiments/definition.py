"""What an experiment is: tasks, conditions and repeats, as its file says them."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from aideator.protocol import Condition, VariationLimits
from aideator_gateway.texts import ARGUMENT, NonBlank

MAX_ATTEMPTS = 10_000
"""Most attempts that one experiment plans."""

NAME = r"^[a-z0-9][a-z0-9-]{0,59}$"
"""What an experiment may be called."""

Name = Annotated[
    str, StringConstraints(strict=True, min_length=1, max_length=80, pattern=r"^[^\x00-\x1f\x7f]+$")
]
Command = Annotated[str, StringConstraints(strict=True, max_length=14_000, pattern=ARGUMENT)]

_STRICT = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Defaults(BaseModel):
    """Table ``[defaults]``: what holds for each task that says nothing else."""

    model_config = _STRICT

    repository: NonBlank | None = None
    ref: NonBlank | None = None
    setup: Command | None = None
    check: Command | None = None
    tags: list[Name] = []


class Task(BaseModel):
    """Table ``[[tasks]]``: one thing that every condition is to do."""

    model_config = _STRICT

    name: Name = Field(description="What the task is called in reports.")
    repository: NonBlank = Field(
        description="https URL, or path of a repository on this machine, seen from the file."
    )
    ref: NonBlank | None = Field(
        default=None,
        description="Branch, tag or full commit id; else the default branch. All attempts at the "
        "task start from the commit that it was when the first one began.",
    )
    prompt: NonBlank = Field(description="What the agent is asked; @FILE for what a file holds.")
    setup: Command | None = Field(
        default=None,
        description="Command that runs before the check, in the same sandbox; its failure is not "
        "the attempt's where it works for no attempt at the task.",
    )
    check: Command | None = Field(
        default=None, description="Command that says with its exit code whether a result passes."
    )
    tags: list[Name] = Field(default=[], description="Words to group tasks by in reports.")


class Experiment(BaseModel):
    """The whole file."""

    model_config = _STRICT

    name: Annotated[str, StringConstraints(strict=True, pattern=NAME)] = Field(
        description="What the experiment is known by: lower-case letters, digits and -. "
        "Another name is another experiment."
    )
    description: NonBlank | None = Field(default=None, description="Words for the report.")
    repeats: int = Field(strict=True, ge=1, description="Attempts of each condition at each task.")
    budget_usd: float = Field(strict=True, gt=0, description="What all attempts together may cost.")
    at_once: int = Field(
        default=2,
        strict=True,
        ge=1,
        le=64,
        description="Runs that work at once; a run has an attempt of each condition.",
    )
    seed: int = Field(default=1, strict=True, description="Decides the order of the attempts.")
    baseline: Name | None = Field(
        default=None,
        description="Name of the condition that the others are compared with; else each is "
        "compared with each.",
    )
    limits: VariationLimits = Field(
        default=VariationLimits(), description="Limits of each attempt, as of a run."
    )
    defaults: Defaults = Field(default=Defaults(), description="What tasks have in common.")
    tasks: Annotated[list[Task], Field(min_length=1)]
    conditions: Annotated[list[Condition], Field(min_length=1, max_length=50)]

    @property
    def attempts(self) -> int:
        """How many there are to be."""
        return len(self.tasks) * len(self.conditions) * self.repeats
