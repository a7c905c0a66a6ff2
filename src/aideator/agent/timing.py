"""How long the program waits for what, in one place."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """Bounds of every wait on the model's server, in seconds."""

    connect: float = 15.0
    stall: float = 120.0
    """No byte at all, before the response or inside it."""
    silence: float = 300.0
    """Nothing but keep-alive pings."""
    drain: float = 0.1
    """For a response to end that is whole already."""
    idle: float = 2.0
    """A connection is used again within it; servers close theirs after 5 and more."""
    retry: float = 1.0
    """Wait before the first repeat where the server names none; doubled for each further one."""
    longest_retry: float = 60.0
    """No repeat waits longer, whatever the server asks for."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Timing":
        """Read ``AIDEATOR_STALL_SECONDS``, ``…_SILENCE_…``, ``…_RETRY_…``, ``…_LONGEST_RETRY_…``.

        Raises
        ------
        ValueError
            A variable is no number.
        """
        given = {}
        for name in ("stall", "silence", "retry", "longest_retry"):
            variable = f"AIDEATOR_{name.upper()}_SECONDS"
            if variable in environment:
                try:
                    given[name] = float(environment[variable])
                except ValueError:
                    raise ValueError(f"{variable} must be a number of seconds.") from None
        return cls(**given)
