"""Attempts that share a key wait their turn, and say so."""

import json
from itertools import pairwise
from pathlib import Path

from aideator_gateway.scripted_model.limited import LimitedPlayer
from aideator_gateway.scripted_model.script import Reply, Text, ToolUse
from aideator_gateway.scripted_model.server import Script, ScriptedModel
from tests.support.gateways import serving


def test_five_attempts_on_two_requests_a_second_all_complete(
    shared_repository: Path, tmp_path: Path
) -> None:
    turns: list[Reply] = [[ToolUse("list_files", {"path": "."})], [Text("Done.")]]
    model = LimitedPlayer(Script(default=turns), requests=2)
    with (
        ScriptedModel(model) as server,
        serving(
            tmp_path / "data", "--backend", "local", "--allow-file", "--base-url", server.base_url
        ) as gateway,
    ):
        run_id = gateway.create(
            github_url=shared_repository.as_uri(), variations=5, limits={"max_retries": 0}
        )
        said = [json.loads(event.data) for event in gateway.stream(run_id)]
        variations = gateway.run(run_id)["variations"]
    assert [variation["status"] for variation in variations] == ["completed"] * 5
    assert [event for event in said if event.get("type") == "retry"] == []
    waits = [event for event in said if event.get("type") == "wait"]
    assert {wait["cause"] for wait in waits} <= {"rate_limited", "busy"}
    limited = [wait for wait in waits if wait["cause"] == "rate_limited"]
    assert limited
    assert all(wait["message"] == "the model's server limits requests" for wait in limited)
    assert all(wait["seconds"] > 0 and wait["turn"] in (1, 2) for wait in waits)
    # Nobody runs into a wall that somebody has met.
    assert model.refused
    for (met, wait), (again, _) in pairwise(model.refused):
        assert again >= met + wait
