"""A stored run that cannot be read as it was checked hides no other, and can be worked with."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from aideator.protocol import Limits
from aideator_gateway.runs.store import Store
from tests.support.forked import serving
from tests.support.scripted_backend import REQUEST, completes, house
from tests.support.stored_logs import cut_ends

BAD = {
    "limits.max_run_cost_usd": """UPDATE run SET limits = '{"max_run_cost_usd": Infinity}'""",
    "limits.max_turns": """UPDATE run SET limits = '{"max_turns": 0, "max_seconds": 5}'""",
    "limits.max_hopes": """UPDATE run SET limits = '{"max_hopes": 1}'""",
    "limits": "UPDATE run SET limits = '{'",
    "created_at": "UPDATE run SET created_at = 'yesterday'",
    "status": "UPDATE run SET status = 'exploded'",
    "code": "UPDATE run SET code = 'of_a_later_version'",
    "variations.1.condition": "UPDATE variation SET condition = '[]' WHERE variation_id = 1",
    "variations.1.condition.style": (
        """UPDATE variation SET condition = '{"style": "gone"}' WHERE variation_id = 1"""
    ),
    "variations.1.usage": (
        """UPDATE variation SET usage = '{"cost_usd": NaN}' WHERE variation_id = 1"""
    ),
    "variations.1.check": "UPDATE variation SET \"check\" = '{}' WHERE variation_id = 1",
    "variations.1.turns": "UPDATE variation SET turns = 'many' WHERE variation_id = 1",
    "variations.1.stop_reason": "UPDATE variation SET stop_reason = 'x' WHERE variation_id = 1",
}


def edit(database: Path, statement: str, run_id: str) -> None:
    where = "AND" if "WHERE" in statement else "WHERE"
    with closing(sqlite3.connect(database, timeout=30)) as connection, connection:
        done = connection.execute(f"{statement} {where} run_id = ?", [run_id])
        assert done.rowcount == 1


@pytest.mark.parametrize("field", BAD)
def test_what_cannot_be_read_is_named_and_left_out(tmp_path: Path, field: str) -> None:
    path = tmp_path / "x.db"

    async def scenario() -> None:
        async with house(Store(path), completes) as opened:
            ids = []
            for _ in range(3):
                run, _ = await opened.runs.create(REQUEST)
                await opened.ended(run.run_id)
                await opened.runs.cancel(run.run_id)
                ids.append(run.run_id)
            edit(path, BAD[field], ids[1])
            listed = {run.run_id: run for run in await opened.store.runs(limit=10)}
            assert set(listed) == set(ids)
            bad = await opened.runs.get(ids[1])
            assert bad == listed[ids[1]]
            assert bad.message is not None
            assert f" {field}." in bad.message.replace(", ", ". ")
            assert listed[ids[0]].message is None
            # What goes out comes in again, at any client.
            assert type(bad).model_validate_json(bad.model_dump_json()) == bad
            await opened.runs.cancel(ids[1])
            await opened.runs.delete(ids[1])
            assert len(await opened.store.runs(limit=10)) == 2

    asyncio.run(scenario())


def test_an_unlimited_cost_is_shown_as_no_limit(tmp_path: Path) -> None:
    path = tmp_path / "x.db"

    async def scenario() -> None:
        store = Store(path)
        await store.open()
        await store.create_run("a", REQUEST, limits=Limits(), model="m", scripted=True)
        edit(path, BAD["limits.max_run_cost_usd"], "a")
        run = await store.run("a")
        assert run is not None
        assert run.limits.max_run_cost_usd is None
        await store.aclose()

    asyncio.run(scenario())


def test_a_bad_row_is_recovered_listed_and_deleted_over_http(
    shared_repository: Path, tmp_path: Path
) -> None:
    flags = ("--demo", "--backend", "local", "--allow-file", "--demo-tokens-per-second", "1000")
    with serving(tmp_path / "data", *flags) as gateway:
        ids = [gateway.create(github_url=shared_repository.as_uri(), variations=1) for _ in "ab"]
        for run_id in ids:
            gateway.finish(run_id)
    database = tmp_path / "data" / "aideator.db"
    # As a gateway leaves it that died in the middle.
    cut_ends(database, ids[0], None)
    edit(database, "UPDATE run SET status = 'running'", ids[0])
    edit(database, BAD["limits.max_run_cost_usd"], ids[0])
    with serving(tmp_path / "data", *flags) as gateway:
        listed = gateway.http.get("/runs")
        assert listed.status_code == 200
        assert {run["run_id"] for run in listed.json()["runs"]} == set(ids)
        run = gateway.run(ids[0])
        assert run["status"] == "completed"
        assert "limits.max_run_cost_usd" in run["message"]
        assert [event.event for event in gateway.stream(ids[0])][-1] == "end"
        assert gateway.http.delete(f"/runs/{ids[0]}").status_code == 204
        assert "Traceback" not in gateway.log.read_text()
