"""How a variation and a run can stand, and why an attempt stopped."""

from enum import StrEnum


class Status(StrEnum):
    """State of a variation or of a run.

    A variation ends in exactly one of ``completed``, ``failed``, ``cancelled`` and
    ``interrupted``. A run is ``completed`` as soon as all variations have ended and at
    least one of them completed.
    """

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self not in (Status.PENDING, Status.RUNNING)


class StopReason(StrEnum):
    """Why an attempt that ``completed`` stopped; each of them keeps its patch."""

    END_TURN = "end_turn"
    """The model said that it is done."""
    LIMIT_TURNS = "limit_turns"
    LIMIT_TOKENS = "limit_tokens"
    LIMIT_SECONDS = "limit_seconds"
    LIMIT_COST = "limit_cost"
    CONTEXT_WINDOW = "context_window"
    """The conversation no longer fits into the model's context window."""
