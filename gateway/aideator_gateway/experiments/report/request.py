"""What the program that makes reports is asked, and what it answers."""

from pathlib import Path

from pydantic import BaseModel, Field

UNUSABLE = 3
"""Exit code where the journal cannot be used; standard error says why."""


class Request(BaseModel):
    """What to report on."""

    journal: Path
    winners: dict[str, int] = Field(description="Chosen variations by run id.")


class Made(BaseModel):
    """A report, as it is sent."""

    report: str
    html: str
