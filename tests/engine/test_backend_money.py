"""Caps on what runs cost, through the engine: the broker that counts is the gateway's."""

import json
import time
from pathlib import Path

import pytest

from aideator_gateway.scripted_model.player import Request
from aideator_gateway.scripted_model.script import Reply, Text, TokenCounts, ToolUse, Wait
from aideator_gateway.scripted_model.server import ScriptedModel
from tests.engine.module import creates
from tests.support.gateways import serving

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]

LOOK = ToolUse("list_files", {"path": "."})
ONE, ONE_AND_A_HALF, TWO = (TokenCounts(count, 0) for count in (500_000, 750_000, 1_000_000))
"""US dollars, at the price of the default model."""


class Spenders:
    """In a run that is to share the first leaves two dollars over; in any other all go on."""

    def __init__(self) -> None:
        self.asked = 0
        self._begun: set[int | None] = set()

    def reply(self, request: Request) -> Reply:
        """Return the next answer of a conversation."""
        turn: int = sum(message["role"] == "assistant" for message in request.messages)
        if "share" in json.dumps(request.messages[0]):
            if request.variation == 1:
                return [Text("Done."), ONE]
            costly: list[Reply] = [[LOOK, Wait(10), TWO], [LOOK, ONE_AND_A_HALF], [Text("Done.")]]
            return costly[turn]
        self._begun.add(request.variation)
        if turn and len(self._begun) == 1:
            # An engine may start one long after the other, which is not to find all spent.
            return [LOOK, Wait(2)]
        self.asked += 1
        made: Reply = creates("new.txt")[0]
        return [*made, ONE] if turn == 0 else [LOOK, ONE]


def test_caps_hold_through_the_engine(
    engine: None,  # noqa: ARG001 - skips
    shared_repository: Path,
    tmp_path: Path,
) -> None:
    player = Spenders()
    with (
        ScriptedModel(player) as model,
        serving(
            tmp_path / "data", "--backend", "dagger", "--allow-file", "--base-url", model.base_url,
            "--max-day-cost-usd", "7", AIDEATOR_API_KEY="key",
        ) as gateway,
    ):  # fmt: skip
        deadline = time.monotonic() + 200
        while not (told := gateway.http.get("/readyz").json())["ready"]:
            assert time.monotonic() < deadline, told
            time.sleep(0.2)
        url = shared_repository.as_uri()
        # A share is three dollars; the second one comes to three and a half.
        run = gateway.finish(
            gateway.create(
                github_url=url, prompt="share", variations=2, limits={"max_run_cost_usd": 6.0}
            )
        )
        reasons = [variation["stop_reason"] for variation in run["variations"]]
        assert reasons == ["end_turn", "end_turn"], run["variations"]
        # Four and a half of the day's seven dollars are spent.
        run = gateway.finish(
            gateway.create(github_url=url, variations=2, limits={"max_run_cost_usd": 100.0})
        )
        ends = {(one["status"], one["stop_reason"]) for one in run["variations"]}
        assert ends == {("completed", "limit_cost")}, run["variations"]
        assert [one["patch"]["files"] for one in run["variations"]] == [1, 1]
        # Three dollars reach the cap; each may have had one answer under way.
        assert 3 <= player.asked <= 4
        refused = gateway.http.post("/runs", json={"github_url": url, "prompt": "Do it."})
        assert (refused.status_code, refused.json()["code"]) == (429, "day_cost_reached")
