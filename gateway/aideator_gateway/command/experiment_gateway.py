"""The HTTP API as an experiment sees it."""

from collections.abc import Callable
from typing import TypeVar

from aideator_gateway.command.api_error import UNREACHABLE, ApiError
from aideator_gateway.command.client import Client
from aideator_gateway.experiments.gateway import AwayError, RefusedError
from aideator_gateway.runs.model import NewRun, Run

T = TypeVar("T")

_GONE = ("run_not_found", "run_deleted")


class ExperimentGateway:
    """Makes runs over a client.

    Parameters
    ----------
    client
        Of the gateway that carries them out.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def create(self, request: NewRun, key: str) -> str:
        """Start a run and return its id; under the same key it is the same run."""
        return _asked(lambda: self._client.create(request, key))

    def run(self, run_id: str) -> Run:
        """Return how a run stands."""
        return _asked(lambda: self._client.run(run_id))

    def cancel(self, run_id: str) -> None:
        """Stop a run, and return once it has ended."""
        _asked(lambda: self._client.cancel(run_id))


def _asked(call: Callable[[], T]) -> T:
    try:
        return call()
    except ApiError as error:
        if error.code == UNREACHABLE:
            raise AwayError(str(error)) from None
        raise RefusedError(
            # Of fields it says which; they are the API's own names, which the file does not have.
            str(error),
            passing=error.status >= 500,
            gone=error.code in _GONE,
        ) from None
