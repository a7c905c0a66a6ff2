"""Several gateways on one database, each with runs of its own."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from aideator.protocol import Limits
from aideator_gateway.command.client import Client
from aideator_gateway.command.serving import EmbeddedGateway
from aideator_gateway.runs.dependencies import Dependencies
from aideator_gateway.runs.life import Runs
from aideator_gateway.runs.log import EventLog
from aideator_gateway.runs.metrics import Metrics
from aideator_gateway.runs.model import NewRun
from aideator_gateway.runs.store import Store
from aideator_gateway.scripted_model.script import Hang, Text
from aideator_gateway.scripted_model.server import Script, ScriptedModel
from aideator_gateway.settings import Settings
from tests.support.owners import ScriptedOwners

REQUEST = NewRun(github_url="https://github.com/user/repo", prompt="x", variations=1)


@contextmanager
def two_gateways(data: Path, model: str) -> Iterator[tuple[Client, Client]]:
    settings = Settings.load(
        {"data_dir": data, "backend": "local", "base_url": model, "allow_file": True},
        {"AIDEATOR_API_KEY": "key"},
    )
    with (
        EmbeddedGateway(settings) as first,
        EmbeddedGateway(settings) as second,
        Client(first.address) as one,
        Client(second.address) as two,
    ):
        yield one, two


def start(gateway: Client, repository: Path, reader: Client) -> str:
    """Start a run at one gateway, and return its id once another one has shown what it says."""
    run_id = gateway.create(REQUEST.model_copy(update={"github_url": repository.as_uri()}))
    for _, data in reader.stream(run_id):
        if data.get("type") == "agent_output":
            break
    return run_id


@pytest.fixture
def hanging() -> Iterator[str]:
    with ScriptedModel(Script({}, default=[[Text("Working."), Hang()]])) as model:
        yield model.base_url


def test_a_run_is_seen_and_cancelled_through_any_gateway(
    shared_repository: Path, tmp_path: Path, hanging: str
) -> None:
    with two_gateways(tmp_path / "data", hanging) as (one, two):
        run_id = start(one, shared_repository, two)
        stream = iter(two.stream(run_id))
        next(stream)
        assert two.run(run_id).status == "running"
        assert two.cancel(run_id).status == "cancelled"
        assert [name for name, _ in stream][-1] == "end"
        assert one.run(run_id).status == "cancelled"


def test_a_gateway_that_starts_and_ends_leaves_the_runs_of_others_alone(
    shared_repository: Path, tmp_path: Path, hanging: str
) -> None:
    with two_gateways(tmp_path / "data", hanging) as (one, two):
        run_id = start(one, shared_repository, two)
        settings = Settings.load({"data_dir": tmp_path / "data", "backend": "local"}, {})
        with EmbeddedGateway(settings) as third, Client(third.address) as client:
            assert client.run(run_id).status == "running"
        assert one.run(run_id).status == "running"
        assert list((tmp_path / "data" / "work").iterdir()) == [tmp_path / "data" / "work" / run_id]
        assert one.cancel(run_id).status == "cancelled"


def test_an_idempotency_key_starts_one_run_however_many_gateways_are_asked(tmp_path: Path) -> None:
    body = {"github_url": "https://github.com/user/repo", "prompt": "x", "variations": 1}
    settings = Settings.load({"data_dir": tmp_path / "data", "backend": "local"}, {})
    with EmbeddedGateway(settings) as first, EmbeddedGateway(settings) as second:

        def ask(number: int) -> tuple[int, str]:
            address = (first, second)[number % 2].address
            answer = httpx.post(
                f"{address.url}/runs", json=body, timeout=60, trust_env=False,
                headers={
                    "Authorization": f"Bearer {address.token}",
                    "Idempotency-Key": f"key {number // 4}",
                },
            )  # fmt: skip
            return answer.status_code, answer.json().get("run_id")

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(ask, range(80)))
    assert {status for status, _ in answers} == {202}
    assert len({run_id for _, run_id in answers}) == 20
    for number in range(20):
        assert len(set(answers[4 * number : 4 * number + 4])) == 1


class Nowhere:
    """A backend that is never asked."""

    name = "nowhere"


def test_recovery_ends_the_runs_of_the_dead_and_of_nobody_else(tmp_path: Path) -> None:
    owners: dict[str, str | None] = {"a": "gw_dead", "b": "gw_living", "c": "gw_me", "d": None}

    async def scenario(living: set[str | None]) -> dict[str, str]:
        store = Store(tmp_path / "x.db")
        await store.open()
        log = EventLog(store, Metrics(), "gw_me")
        log.start()
        try:
            for run_id, owner in owners.items():
                if await store.run(run_id) is None:
                    await store.create_run(
                        run_id, REQUEST, limits=Limits(), model="m", scripted=True, owner=owner
                    )
            settings = Settings.load({"data_dir": tmp_path}, {})
            twin = ScriptedOwners(living=living)
            needed = Dependencies(settings, store, log, Nowhere(), Metrics())  # type: ignore[arg-type] # never asked
            runs = Runs(needed, twin)
            await runs.recover()
            # What another gateway has to end is asked of it; without an answer it is ended here.
            await runs.cancel("b")
            assert twin.asked == [("gw_living", "b")] if "gw_living" in living else True
            return {run_id: (await runs.get(run_id)).status for run_id in owners}
        finally:
            await log.aclose()
            await store.aclose()

    assert asyncio.run(scenario({"gw_living", None})) == {
        "a": "interrupted", "b": "pending", "c": "pending", "d": "pending",
    }  # fmt: skip
    assert asyncio.run(scenario(set())) == {
        "a": "interrupted", "b": "interrupted", "c": "pending", "d": "interrupted",
    }  # fmt: skip
