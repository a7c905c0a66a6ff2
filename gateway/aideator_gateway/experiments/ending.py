"""How the work on an experiment ended."""

from dataclasses import dataclass, field


@dataclass
class Ending:
    """How the work on an experiment ended.

    Attributes
    ----------
    done, attempts
        How many attempts have a result, of how many.
    why
        Why not all of them have one, as sentences; empty where somebody wished to stop.
    """

    attempts: int
    done: int = 0
    stopped: bool = False
    why: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether each attempt has a result."""
        return self.done == self.attempts
