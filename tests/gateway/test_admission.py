"""What a server has in place of what a request leaves out, and what no request can raise."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from aideator.protocol import Condition, Limits
from aideator_gateway.runs.model import NewRun
from aideator_gateway.runs.problems import Problem
from aideator_gateway.runs.store import Store
from tests.support.scripted_backend import House, completes, house

CEILINGS = {
    "ceiling_run_cost_usd": 2.5,
    "ceiling_turns": 30,
    "ceiling_tokens": 50_000,
    "ceiling_seconds": 120.5,
    "ceiling_retries": 2,
}
AT_THE_CEILING = {
    "max_run_cost_usd": 2.5, "max_turns": 30, "max_tokens": 50_000, "max_seconds": 120.5,
    "max_retries": 2,
}  # fmt: skip


def run(scenario: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await scenario

    asyncio.run(bounded())


async def limits_of(opened: House, **fields: Any) -> Limits:
    request = NewRun.model_validate(
        {"github_url": "https://github.com/user/repo", "prompt": "x", **fields}
    )
    return (await opened.runs.create(request))[0].limits


async def refused(opened: House, **fields: Any) -> Problem:
    with pytest.raises(Problem) as problem:
        await limits_of(opened, **fields)
    return problem.value


def test_what_is_left_out_is_the_ceiling_where_the_default_is_higher(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with house(Store(tmp_path / "x.db"), completes, **CEILINGS) as opened:
            limits = await limits_of(opened)
            assert limits.model_dump(include=set(AT_THE_CEILING)) == AT_THE_CEILING
            limits = await limits_of(opened, limits={"max_turns": 3})
            assert limits.max_turns == 3
            assert limits.max_tokens == 50_000
            assert await limits_of(opened, limits=AT_THE_CEILING) == Limits(**AT_THE_CEILING)

    run(scenario())


def test_ceilings_above_the_defaults_change_none(tmp_path: Path) -> None:
    async def scenario() -> None:
        high = {"ceiling_run_cost_usd": 100, "ceiling_turns": 300, "ceiling_seconds": 9000}
        async with house(Store(tmp_path / "x.db"), completes, **high) as opened:
            assert await limits_of(opened) == Limits()
            assert (await limits_of(opened, limits={"max_turns": 300})).max_turns == 300

    run(scenario())


@pytest.mark.parametrize(
    ("name", "value", "ceiling"),
    [
        ("max_run_cost_usd", 2.51, "2.5 (--ceiling-run-cost-usd)"),
        ("max_run_cost_usd", None, "2.5 (--ceiling-run-cost-usd)"),
        ("max_turns", 31, "30 (--ceiling-turns)"),
        ("max_tokens", 50_001, "50000 (--ceiling-tokens)"),
        ("max_tokens", None, "50000 (--ceiling-tokens)"),
        ("max_seconds", 121, "120.5 (--ceiling-seconds)"),
        ("max_retries", 3, "2 (--ceiling-retries)"),
    ],
)
def test_no_request_is_above_a_ceiling(
    tmp_path: Path, name: str, value: float | None, ceiling: str
) -> None:
    async def scenario() -> None:
        async with house(Store(tmp_path / "x.db"), completes, **CEILINGS) as opened:
            problem = await refused(opened, limits={name: value})
            assert problem.code == "invalid_request"
            assert [error.field for error in problem.errors] == [f"limits.{name}"]
            assert ceiling in problem.detail
            if name == "max_run_cost_usd":
                return
            conditions = [{}, {"limits": {name: value}}]
            if value is None:
                # It is the run's, which has one.
                await limits_of(opened, conditions=conditions)
                return
            problem = await refused(opened, conditions=conditions)
            assert [error.field for error in problem.errors] == [f"conditions.1.limits.{name}"]
            assert await opened.store.runs(limit=9) == []

    run(scenario())


def test_a_variation_may_have_less_than_the_ceiling(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with house(Store(tmp_path / "x.db"), completes, **CEILINGS) as opened:
            own = Condition.model_validate({"limits": {"max_turns": 30, "max_cost_usd": 100}})
            await limits_of(opened, conditions=[own, {}])

    run(scenario())


def test_no_run_is_started_where_the_disk_is_nearly_full(tmp_path: Path) -> None:
    async def scenario() -> None:
        store = Store(tmp_path / "x.db")
        async with house(store, completes, data_dir=tmp_path, min_free_bytes=2**62) as opened:
            problem = await refused(opened)
            assert (problem.code, problem.retry_after) == ("disk_low", 60)
            assert f"The disk of {tmp_path} has " in problem.detail
            ready = await opened.runs.readiness()
            assert not ready.ready
            assert "--min-free-bytes" in ready.reason
            figures = opened.metrics.text().decode()
            assert 'aideator_runs_refused_total{code="disk_low"} 1.0' in figures
            free = next(x for x in figures.splitlines() if x.startswith("aideator_disk_free"))
            assert float(free.split()[1]) > 0

    run(scenario())


def test_a_data_directory_to_be_is_on_the_disk_of_its_parent(tmp_path: Path) -> None:
    async def scenario() -> None:
        place = tmp_path / "not" / "made"
        async with house(Store(tmp_path / "x.db"), completes, data_dir=place) as opened:
            await limits_of(opened)
            assert (await opened.runs.readiness()).ready

    run(scenario())
