"""Attempts that share a key wait their turn, and say so."""

import json
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

import httpx

from aideator_gateway.scripted_model.limited import LimitedPlayer
from aideator_gateway.scripted_model.script import Reply, Text, ToolUse, Wait
from aideator_gateway.scripted_model.server import Script, ScriptedModel
from tests.support.forked import serving
from tests.support.gateways import Gateway
from tests.support.talking import wait


def waits_answered(gateway: Gateway) -> Counter[str]:
    """Return how many requests the broker told to wait, by cause."""

    def refused() -> Counter[str]:
        pairs = re.findall(
            r'^aideator_model_requests_refused_total{cause="(\w+)"} (\d+)',
            gateway.http.get("/metrics").text, re.MULTILINE,
        )  # fmt: skip
        return Counter({cause: int(count) for cause, count in pairs})

    # The broker tells in order: once it has told of this one, it has told of all before.
    (path,) = (gateway.data_dir / "gateways").glob("*.sock")
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(path))) as http:
        assert http.get("http://broker/v1/models").status_code == 404
    wait(lambda: refused()["other_path"] == 1)
    return Counter(
        {c.removeprefix("wait_"): n for c, n in refused().items() if c.startswith("wait_")}
    )


def test_requests_at_once_are_as_many_as_was_said(shared_repository: Path, tmp_path: Path) -> None:
    talk: Reply = [Text("Done. "), Wait(1.5)]
    with (
        ScriptedModel(Script(default=[talk] * 2)) as server,
        serving(
            tmp_path / "data", "--backend", "local", "--allow-file", "--base-url", server.base_url,
            "--max-concurrent-requests", "1",
        ) as gateway,
    ):  # fmt: skip
        # Those of two runs wait for one another.
        runs = [gateway.create(github_url=shared_repository.as_uri(), variations=n) for n in (2, 1)]
        said = [json.loads(event.data) for run in runs for event in gateway.stream(run)]
        for run in runs:
            ended = [variation["status"] for variation in gateway.run(run)["variations"]]
            assert set(ended) == {"completed"}
    times = sorted(request.time for request in server.requests)
    assert len(times) == 3
    assert all(later - earlier >= 1.5 for earlier, later in pairwise(times))
    waits = [event for event in said if event.get("type") == "wait"]
    assert "busy" in {one["cause"] for one in waits}


def test_five_attempts_on_two_requests_a_second_all_complete(
    shared_repository: Path, short: Path
) -> None:
    turns: list[Reply] = [[ToolUse("list_files", {"path": "."})], [Text("Done.")]]
    model = LimitedPlayer(Script(default=turns), requests=2)
    with (
        ScriptedModel(model) as server,
        serving(
            short / "data", "--backend", "local", "--allow-file", "--base-url", server.base_url
        ) as gateway,
    ):
        run_id = gateway.create(
            github_url=shared_repository.as_uri(), variations=5, limits={"max_retries": 0}
        )
        said = [json.loads(event.data) for event in gateway.stream(run_id)]
        variations = gateway.run(run_id)["variations"]
        answered = waits_answered(gateway)
    assert [variation["status"] for variation in variations] == ["completed"] * 5
    assert [event for event in said if event.get("type") == "retry"] == []
    waits = [event for event in said if event.get("type") == "wait"]
    assert {one["cause"] for one in waits} <= {"rate_limited", "busy", "pacing"}
    # Every one of them; short ones, which the broker waits itself, come on top.
    told = Counter(one["cause"] for one in waits)
    assert answered["rate_limited"] > 0
    assert answered <= told
    limited = [one for one in waits if one["cause"] == "rate_limited"]
    assert limited
    assert all(one["message"] == "the model's server limits requests" for one in limited)
    assert all(one["seconds"] > 0 and one["turn"] in (1, 2) for one in waits)
    # Nobody runs into a wall that somebody has met.
    assert model.refused
    for (met, seconds), (again, _) in pairwise(model.refused):
        assert again >= met + seconds
