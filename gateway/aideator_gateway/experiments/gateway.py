"""The gateway that carries out runs, as far as an experiment has to know of it."""

from typing import Protocol

from aideator_gateway.runs.model import NewRun, Run


class RefusedError(Exception):
    """A request was refused; the text says why, and what to do.

    Parameters
    ----------
    passing
        The same request may be taken in a moment.
    gone
        The run that it is about is no more.
    """

    def __init__(self, message: str, *, passing: bool = False, gone: bool = False) -> None:
        super().__init__(message)
        self.passing = passing
        self.gone = gone


class AwayError(Exception):
    """Nobody answers; the text says where, and what to do."""


class Gateway(Protocol):
    """Makes runs.

    Its methods raise ``RefusedError`` and ``AwayError``.
    """

    def create(self, request: NewRun, key: str) -> str:
        """Start a run and return its id; under the same key it is the same run."""
        ...

    def run(self, run_id: str) -> Run:
        """Return how a run stands."""
        ...

    def cancel(self, run_id: str) -> None:
        """Stop a run, and return once it has ended."""
        ...
