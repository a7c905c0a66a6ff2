"""How an attempt can end, as exceptions: control flow that any depth of the program can use."""

from aideator.protocol.errors import ErrorCode
from aideator.protocol.outcomes import StopReason


class Ending(Exception):  # noqa: N818  # Not an error: a way for an attempt to end.
    """The attempt is over."""


class Completed(Ending):
    """It ended as it should, or at one of its limits."""

    def __init__(self, stop_reason: StopReason) -> None:
        super().__init__(stop_reason.value)
        self.stop_reason = stop_reason


class Failed(Ending):
    """It could not go on."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Cancelled(Ending):
    """It was told to stop."""
