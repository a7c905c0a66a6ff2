"""One broker for the tests of a file, with a scripted model and a server of raw bytes behind."""

import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from aideator_gateway.scripted_model.player import Request
from aideator_gateway.scripted_model.script import HttpError, Reply
from aideator_gateway.scripted_model.server import ScriptedModel
from tests.support.brokers import RunningBroker, broker_for, configuration
from tests.support.raw_servers import RawServer, raw_server


class RepliesByRun:
    """A player of the replies that each run was given."""

    def __init__(self) -> None:
        self._replies: dict[str | None, Iterator[Reply]] = {}

    def set(self, run: str, replies: Sequence[Reply]) -> None:
        """Set what is answered to a run, in order."""
        self._replies[run] = iter(replies)

    def reply(self, request: Request) -> Reply:
        """Return the next one."""
        none: Reply = [HttpError(400, "invalid_request_error", "No reply is left.")]
        return next(self._replies.get(request.run, iter(())), none)


@pytest.fixture(scope="module")
def replies() -> RepliesByRun:
    """Return what the scripted model answers."""
    return RepliesByRun()


@pytest.fixture(scope="module")
def model(replies: RepliesByRun) -> Iterator[ScriptedModel]:
    """Return the model's server behind the provider ``main``."""
    with ScriptedModel(replies) as server:
        yield server


@pytest.fixture(scope="module")
def raw() -> Iterator[RawServer]:
    """Return the server behind the provider ``raw``."""
    with raw_server() as server:
        yield server


@pytest.fixture(scope="module")
def broker(
    model: ScriptedModel, raw: RawServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningBroker]:
    """Return a broker with tight bounds."""
    config = configuration(
        model.base_url,
        bounds={
            "body_bytes": 100_000, "body_seconds": 1, "idle_seconds": 1,
            "waiting_connections": 8, "silence_seconds": 4, "connect_seconds": 2,
        },
    )  # fmt: skip
    provider = {**config["providers"]["main"], "base_url": raw.base_url}
    config["providers"] |= {
        "raw": provider,
        "gone": {**provider, "base_url": "http://127.0.0.1:1"},
        "keyless": {"api_key": {"env": "AIDEATOR_TEST_NO_SUCH_KEY"}},
        "cloud": {"kind": "vertex", "region": "europe-west4", "project": "mine"},
    }
    directory: Path = tmp_path_factory.mktemp("broker")
    with broker_for(directory, config) as found:
        yield found


@pytest.fixture
def run() -> str:
    """Return a run's id that no other test has."""
    return f"run_{uuid.uuid4().hex}"
