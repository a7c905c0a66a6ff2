"""The cap on what all runs of a day cost."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aideator_gateway.scripted_model.script import Reply, Text, TokenCounts, ToolUse, Wait
from aideator_gateway.scripted_model.server import Script, ScriptedModel
from tests.support.forked import serving
from tests.support.gateways import Gateway
from tests.support.talking import wait

DOLLAR = TokenCounts(500_000, 0)
"""At the price of the default model."""

WRITE = ToolUse(
    "str_replace_based_edit_tool", {"command": "create", "path": "new.txt", "file_text": "new\n"}
)


def database(gateway: Gateway) -> sqlite3.Connection:
    return sqlite3.connect(gateway.data_dir / "aideator.db", isolation_level=None)


def test_past_the_days_cap_attempts_end_with_their_patch_and_no_run_starts(
    shared_repository: Path, tmp_path: Path
) -> None:
    look: Reply = [ToolUse("list_files", {"path": "."}), DOLLAR]
    # Neither has spent the day before the other has begun.
    replies: list[Reply] = [[WRITE, Wait(3), DOLLAR], *([look] * 9)]
    url = shared_repository.as_uri()
    flags = ["--backend", "local", "--allow-file", "--max-day-cost-usd", "3.5"]
    with ScriptedModel(Script({}, default=replies)) as model:
        flags += ["--base-url", model.base_url]
        limits = {"max_run_cost_usd": 100.0}
        with serving(tmp_path / "data", *flags) as gateway:
            run = gateway.finish(gateway.create(github_url=url, variations=2, limits=limits))
            ends = {(v["status"], v["stop_reason"]) for v in run["variations"]}
            assert ends == {("completed", "limit_cost")}, run["variations"]
            assert [v["patch"]["files"] for v in run["variations"]] == [1, 1]
            # By at most one answer each.
            assert 4 <= len(model.requests) <= 5
            body = {"github_url": url, "prompt": "Do it."}
            refused = gateway.http.post("/runs", json=body)
            assert (refused.status_code, refused.json()["code"]) == (429, "day_cost_reached")
            assert "Wait until midnight UTC" in refused.json()["detail"]
            ready = gateway.http.get("/readyz")
            assert ready.status_code == 503
            assert "the cap of a day is 3.50" in ready.json()["reason"]
            # What was spent stays spent without its run.
            assert gateway.http.delete(f"/runs/{run['run_id']}").status_code == 204
        with serving(tmp_path / "data", *flags) as gateway:
            assert gateway.http.post("/runs", json=body).status_code == 429
            with closing(database(gateway)) as connection:
                connection.execute("UPDATE day_spending SET day = '2026-01-01', usd = 99")
            run = gateway.finish(
                gateway.create(github_url=url, variations=1, limits={"max_turns": 1})
            )
            assert run["status"] == "completed"


def test_a_day_begins_with_what_its_runs_say(shared_repository: Path, tmp_path: Path) -> None:
    replies: list[Reply] = [[Text("Done."), DOLLAR]] * 3
    flags = ["--backend", "local", "--allow-file"]
    with ScriptedModel(Script({}, default=replies)) as model:
        flags += ["--base-url", model.base_url]
        with serving(tmp_path / "data", *flags) as gateway:
            for _ in range(2):
                gateway.finish(gateway.create(github_url=shared_repository.as_uri(), variations=1))
            with closing(database(gateway)) as connection:
                assert connection.execute("SELECT * FROM day_spending").fetchall() == []
                yesterday = datetime.now(UTC) - timedelta(days=1)
                first = "(SELECT run_id FROM run LIMIT 1)"
                moved = f"UPDATE run SET created_at = ? WHERE run_id = {first}"  # noqa: S608
                connection.execute(moved, (yesterday.strftime("%Y-%m-%d %H:%M:%S.%f"),))
        # Only today's run counts: it is at 1 of 1.5 dollars, and then at 2.
        with serving(tmp_path / "data", *flags, "--max-day-cost-usd", "1.5") as gateway:
            body = {"github_url": shared_repository.as_uri(), "prompt": "Do.", "variations": 1}
            gateway.finish(gateway.create(**body))
            wait(lambda: gateway.http.post("/runs", json=body).status_code == 429, 10)
