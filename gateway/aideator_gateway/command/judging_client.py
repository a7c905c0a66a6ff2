"""The HTTP API as a judge sees it."""

from typing import Any

from aideator_gateway.command.client import Client, read_answer
from aideator_gateway.experiments.judging import Judging, NewJudgment


class JudgingClient:
    """Judges one experiment over a client.

    Parameters
    ----------
    client
        Of a gateway that knows its runs.
    name
        The experiment's.
    """

    def __init__(self, client: Client, name: str) -> None:
        self._client = client
        self._path = f"/experiments/{name}"

    def next(self, judge: str | None, *, again: bool = False, overlap: bool = False) -> Judging:
        """Return which two attempts are to be judged next."""
        query: dict[str, Any] = {"again": again, "overlap": overlap}
        if judge is not None:
            query["judge"] = judge
        return read_answer(Judging, self._client.call("GET", f"{self._path}/judging", **query))

    def record(self, said: NewJudgment) -> None:
        """Record a judgment; sent again, it is the same one."""
        self._client.call("POST", f"{self._path}/judgments", said.model_dump(mode="json"))

    def take_back(self, judgment_id: str) -> None:
        """Take a judgment back."""
        self._client.call("DELETE", f"{self._path}/judgments/{judgment_id}")

    def patch(self, run_id: str, variation_id: int) -> bytes:
        """Return the patch of an attempt."""
        return self._client.patch(run_id, variation_id)
