"""An engine that dies in the middle of a run, and comes back.

It takes the engine away from everybody, so it runs only where it is said how:
``AIDEATOR_TEST_ENGINE_KILL`` and ``AIDEATOR_TEST_ENGINE_START`` are the commands.
"""

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from aideator_gateway.scripted_model.script import Hang, Text
from aideator_gateway.scripted_model.server import Script, ScriptedModel
from tests.support.gateways import Gateway, serving

KILL = os.environ.get("AIDEATOR_TEST_ENGINE_KILL")
START = os.environ.get("AIDEATOR_TEST_ENGINE_START")

pytestmark = [
    pytest.mark.engine,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        not (KILL and START),
        reason="AIDEATOR_TEST_ENGINE_KILL and AIDEATOR_TEST_ENGINE_START are not set",
    ),
]


def ready(gateway: Gateway, *, wanted: bool, seconds: float) -> float:
    """Wait until the gateway is ready, or is not; return how long it took."""
    started = time.monotonic()
    while gateway.http.get("/readyz").json()["ready"] is not wanted:
        assert time.monotonic() - started < seconds
        time.sleep(0.1)
    return time.monotonic() - started


def test_an_engine_that_is_killed_and_comes_back(
    engine: None,  # noqa: ARG001 - skips
    shared_repository: Path,
    tmp_path: Path,
) -> None:
    url = shared_repository.as_uri()
    script = Script({1: [[Text("Done.")], [Text("Done again.")]], 2: [[Text("I start."), Hang()]]})
    with (
        ScriptedModel(script) as model,
        serving(
            tmp_path / "data",
            "--backend",
            "dagger",
            "--allow-file",
            AIDEATOR_BASE_URL=model.base_url,
        ) as gateway,
    ):
        ready(gateway, wanted=True, seconds=240)
        run_id = gateway.create(github_url=url, variations=2)
        waiting = {(1, "completion"), (2, "agent_output")}
        for event in gateway.stream(run_id):
            data = json.loads(event.data)
            waiting -= {(data["variation_id"], data.get("type", event.event))}
            if not waiting:
                break
        killed = time.monotonic()
        subprocess.run(str(KILL), shell=True, check=True)  # noqa: S602 - a command of the user's
        run = gateway.finish(run_id)
        assert time.monotonic() - killed < 60
        first, second = run["variations"]
        assert first["status"] == "completed"
        assert (second["status"], second["code"]) == ("failed", "engine_lost")
        ready(gateway, wanted=False, seconds=60)
        run = gateway.finish(gateway.create(github_url=url, variations=1))
        assert (run["status"], run["code"]) == ("failed", "engine_unavailable")

        subprocess.run(str(START), shell=True, check=True)  # noqa: S602
        ready(gateway, wanted=True, seconds=240)
        run = gateway.finish(gateway.create(github_url=url, variations=1))
        assert run["status"] == "completed", run
        stopping = time.monotonic()
        gateway.stop()
        assert time.monotonic() - stopping < 15
