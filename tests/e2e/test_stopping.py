"""A gateway that is told to stop ends its runs first, and every open stream hears it."""

import json
import signal
from pathlib import Path
from typing import Any

import httpx

from aideator_gateway.scripted_model.script import Reply, Text, ToolUse
from tests.support.gateways import Gateway, serving
from tests.support.locks import locked
from tests.support.readers import Reader
from tests.support.talking import talking_gateway, wait

# One turn that is known to the token, then one that goes on and on.
SPENDING: list[Reply] = [
    [ToolUse("str_replace_based_edit_tool", {"command": "view", "path": "."})],
    [Text("word " * 2000, pace=0.05)],
]


def speaks_for_the_second_time(reader: Reader, variations: int) -> bool:
    turns = {d["variation_id"] for _, n, d in list(reader.events) if d.get("turn") == 2}
    return len(turns) == variations


def errors_of(events: list[tuple[str, str, dict[str, Any]]]) -> dict[int, dict[str, Any]]:
    return {data["variation_id"]: data for _, name, data in events if name == "error"}


def listens(gateway: Gateway) -> bool:
    try:
        httpx.get(f"{gateway.url}/healthz", trust_env=False)
    except httpx.TransportError:
        return False
    return True


def check_figures(gateway: Gateway, run_id: str, errors: dict[int, dict[str, Any]]) -> None:
    """An interrupted attempt says what it used: to readers, in its transcript, in its row."""
    assert set(errors) == {1, 2}
    for variation in gateway.run(run_id)["variations"]:
        error = errors[variation["variation_id"]]
        assert error["status"] == error["code"] == variation["status"] == "interrupted"
        assert error["turns"] == variation["turns"] == 1
        assert error["usage"] == variation["usage"]
        assert error["usage"]["output_tokens"] > 0
        assert error["seconds"] == variation["seconds"] > 0
        path = f"/runs/{run_id}/variations/{variation['variation_id']}/transcript"
        line = json.loads(gateway.http.get(path).text.splitlines()[-1])
        assert (line["type"], line["turns"]) == ("interrupted", 1)
        assert line["total"] == error["usage"]


def test_streams_get_their_ends_before_the_server_goes(
    shared_repository: Path, tmp_path: Path
) -> None:
    with talking_gateway(tmp_path / "data", replies=SPENDING) as gateway:
        run_id = gateway.create(github_url=shared_repository.as_uri(), variations=2)
        with (
            Reader(gateway, run_id) as reader,
            Reader(gateway, run_id) as second,
            Reader(gateway, run_id, "999999") as ahead,
        ):
            wait(lambda: speaks_for_the_second_time(reader, 2))
            assert ahead.events == []
            gateway.stop()
        assert [r.broken for r in (reader, second, ahead)] == [None] * 3
        assert reader.events == second.events
        assert reader.events[-1][1:] == ("end", {"status": "interrupted"})
        assert ahead.events == reader.events[-1:]
        said = gateway.log.read_text()
        assert "Traceback" not in said
        assert "ERROR" not in said
    with serving(tmp_path / "data", "--demo", "--backend", "local") as gateway:
        check_figures(gateway, run_id, errors_of(reader.events))
        whole = [(e.id, e.event, json.loads(e.data)) for e in gateway.stream(run_id)]
        assert whole == reader.events
        again = gateway.http.get(f"/runs/{run_id}/stream", headers={"Last-Event-ID": "999999"})
        assert (again.status_code, again.content) == (204, b"")


def test_attempts_of_a_killed_gateway_say_what_they_used(
    shared_repository: Path, tmp_path: Path
) -> None:
    with talking_gateway(tmp_path / "data", replies=SPENDING) as gateway:
        run_id = gateway.create(github_url=shared_repository.as_uri(), variations=2)
        with Reader(gateway, run_id) as reader:
            wait(lambda: speaks_for_the_second_time(reader, 2))
            gateway.stop(signal.SIGKILL)
        assert reader.broken is not None
    with serving(tmp_path / "data", "--demo", "--backend", "local") as gateway:
        whole = [(e.id, e.event, json.loads(e.data)) for e in gateway.stream(run_id)]
        assert whole[: len(reader.events)] == reader.events
        check_figures(gateway, run_id, errors_of(whole))


def test_a_second_signal_leaves_at_once(shared_repository: Path, tmp_path: Path) -> None:
    with talking_gateway(tmp_path / "data") as gateway:
        run_id = gateway.create(github_url=shared_repository.as_uri(), variations=1)
        with Reader(gateway, run_id) as reader:
            reader.wait_for(20)
            # The end cannot be written, so a patient gateway would wait for seconds.
            with locked(tmp_path / "data" / "aideator.db"):
                gateway.process.send_signal(signal.SIGTERM)
                wait(lambda: not listens(gateway))
                gateway.stop()
        said = gateway.log.read_text()
        assert "left to the next start" not in said
        assert "Traceback" not in said
    with serving(tmp_path / "data", "--demo", "--backend", "local") as gateway:
        assert gateway.run(run_id)["status"] == "interrupted"
