"""The agreement between the life of a run and the place where its variations run."""

import asyncio
import errno
from dataclasses import dataclass
from typing import Protocol

from aideator.protocol import AnyEvent, Condition, ErrorCode, Limits, Task
from aideator.protocol.commands import CHECK_SECONDS
from aideator_gateway.runs.model import CheckResult, Readiness


@dataclass(frozen=True)
class RunSpec:
    """What a backend is asked to do: ids, the source, and one task for each variation."""

    run_id: str
    url: str
    ref: str | None
    tasks: tuple[Task, ...]
    limits: Limits
    """The run's limits, of which each task has its variation's part."""
    check: str | None = None
    check_seconds: int = CHECK_SECONDS
    """Time after which a check is stopped."""

    @property
    def variation_ids(self) -> range:
        """Ids of the variations: 1 to N."""
        return range(1, len(self.tasks) + 1)

    def task(self, variation_id: int) -> Task:
        """Return the task of one variation."""
        return self.tasks[variation_id - 1]

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """The variations' conditions, in order."""
        return tuple(task.condition for task in self.tasks)

    @property
    def max_seconds(self) -> float:
        """The longest that any of the variations may take."""
        return max(task.limits.max_seconds for task in self.tasks)


class BackendError(Exception):
    """A run, or one of its variations, could not be carried out."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def from_os_error(error: OSError) -> BackendError:
    """Return what an error of this machine means for what it ended."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return BackendError(ErrorCode.DISK_FULL, "No space is left on the gateway's disk.")
    return BackendError(ErrorCode.SANDBOX_FAILED, f"The gateway failed: {error}")


class Sink(Protocol):
    """Where a backend delivers. Awaiting a method is what holds a fast backend back."""

    async def prepared(self, *, commit: str, isolation: str, copies: str | None) -> None:
        """Say which commit all variations start from, and what keeps them and their files apart."""

    async def event(self, event: AnyEvent, line: bytes | None = None) -> None:
        """Deliver one event of a variation; those of one variation in order of ``seq``.

        Parameters
        ----------
        line
            The agent's own line, without its end, which then stands in the transcript.
        """

    async def checked(self, variation_id: int, result: CheckResult) -> None:
        """Say what the run's check found in a variation's result."""

    async def failed(self, variation_id: int, error: BackendError) -> None:
        """End one variation that cannot speak for itself."""


class Backend(Protocol):
    """A place where variations run."""

    name: str

    @property
    def no_checks(self) -> str | None:
        """Why it runs no checks, and what to do about it; then no run that has one is started.

        Known once it has started; ``None`` where it runs them.
        """

    async def start(self) -> None:
        """Get ready; an engine that is missing is a state, not an error."""

    async def run(self, spec: RunSpec, sink: Sink, stop: asyncio.Event) -> None:
        """Carry out a run until each variation has ended.

        When ``stop`` is set the variations are told to stop and end within two seconds.
        A variation's failure is delivered to ``sink`` and leaves its siblings alone.

        Raises
        ------
        BackendError
            If the run as a whole could not be carried out.
        """

    async def readiness(self) -> Readiness:
        """Say whether a run could start now."""

    async def aclose(self) -> None:
        """Stop what runs and leave nothing behind."""
