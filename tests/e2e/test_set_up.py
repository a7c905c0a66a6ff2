"""While copies are made or removed: whoever cancels or stops does not wait for either.

Where there are overlays nothing is copied; so these gateways have none.
"""

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from aideator_gateway.scripted_model.script import Text
from aideator_gateway.scripted_model.server import Script, ScriptedModel
from tests.support.forked import serving
from tests.support.gateways import Gateway
from tests.support.processes import wait_until_gone, wait_until_removed
from tests.support.programs import Programs

FLAGS = ("--backend", "local", "--allow-file")
DEMO = (*FLAGS, "--demo", "--demo-tokens-per-second", "1000")

OF_A_RUN = "/run_"
"""In the path of a run's directory, and not in what a gateway tries when it starts."""

PROMPT_SECONDS = 6.0
"""Two are promised, and a busy machine may be late; but what is held here never ends by itself."""


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    found = Programs(tmp_path / "bin")
    found.fail("unshare")
    return found


def cancel(gateway: Gateway, run_id: str) -> None:
    started = time.monotonic()
    run = gateway.http.post(f"/runs/{run_id}/cancel", json={}).json()
    assert time.monotonic() - started < PROMPT_SECONDS
    assert run["status"] == "cancelled"
    assert {variation["status"] for variation in run["variations"]} == {"cancelled"}


@pytest.mark.parametrize(
    ("program", "part", "count"),
    [("git", " fetch ", 1), ("git", " read-tree ", 1), ("cp", OF_A_RUN, 3)],
)
def test_cancel_is_heard_at_each_step_of_set_up(
    shared_repository: Path, tmp_path: Path, programs: Programs, program: str, part: str, count: int
) -> None:
    programs.hold(program, part)
    with (
        ScriptedModel(Script({}, default=[[Text("Nothing to do.")]])) as model,
        serving(
            tmp_path / "data", *FLAGS, "--base-url", model.base_url,
            AIDEATOR_API_KEY="key", PATH=programs.path,
        ) as gateway,
    ):  # fmt: skip
        run_id = gateway.create(github_url=shared_repository.as_uri(), variations=3)
        programs.wait_held(program, count)
        cancel(gateway, run_id)
        assert wait_until_gone(gateway.data_dir, PROMPT_SECONDS) == []
        assert wait_until_removed(gateway.data_dir) == []
        assert model.requests == []
        programs.let_go(program)
        again = gateway.create(github_url=shared_repository.as_uri(), variations=1)
        assert gateway.finish(again)["status"] == "completed"


def run_to_its_end(gateway: Gateway, programs: Programs, run_id: str) -> None:
    assert gateway.finish(run_id)["status"] == "completed"
    assert list(gateway.data_dir.glob("work/*"))
    programs.wait_held("rm")


def cancel_among_copies(gateway: Gateway, programs: Programs, run_id: str) -> None:
    programs.wait_held("cp", 2)
    cancel(gateway, run_id)


@pytest.mark.parametrize(
    ("held", "end"), [(("rm",), run_to_its_end), (("cp", "rm"), cancel_among_copies)]
)
def test_the_end_of_a_run_does_not_wait_for_its_files_to_be_removed(
    shared_repository: Path,
    tmp_path: Path,
    programs: Programs,
    held: tuple[str, ...],
    end: Callable[[Gateway, Programs, str], None],
) -> None:
    for program in held:
        programs.hold(program, OF_A_RUN)
    with serving(tmp_path / "data", *DEMO, PATH=programs.path) as gateway:
        run_id = gateway.create(github_url=shared_repository.as_uri(), variations=2)
        end(gateway, programs, run_id)
        programs.let_go("rm")
        assert wait_until_removed(gateway.data_dir) == []


def test_stopping_the_gateway_waits_neither_for_copies_nor_for_their_removal(
    shared_repository: Path, tmp_path: Path, programs: Programs
) -> None:
    programs.hold("cp", OF_A_RUN)
    programs.hold("rm", OF_A_RUN)
    with serving(tmp_path / "data", *DEMO, PATH=programs.path) as gateway:
        run_id = gateway.create(github_url=shared_repository.as_uri(), variations=3)
        programs.wait_held("cp", 3)
        started = time.monotonic()
        gateway.stop()
        # Three seconds for the removal, which is held for good.
        assert time.monotonic() - started < 3 + PROMPT_SECONDS
        assert gateway.process.returncode in (0, -signal.SIGTERM)
        assert wait_until_gone(gateway.data_dir, 1) == []
        assert list(gateway.data_dir.glob("work/*"))
        assert "left to be removed later" in gateway.log.read_text()
    with serving(tmp_path / "data", *DEMO) as gateway:
        assert wait_until_removed(gateway.data_dir) == []
        assert gateway.run(run_id)["status"] == "interrupted"


@pytest.mark.parametrize(("program", "part"), [("git", " fetch "), ("cp", OF_A_RUN)])
def test_what_sets_up_does_not_outlive_a_gateway_that_is_killed(
    shared_repository: Path, tmp_path: Path, programs: Programs, program: str, part: str
) -> None:
    programs.hold(program, part)
    with serving(tmp_path / "data", *DEMO, PATH=programs.path) as gateway:
        gateway.create(github_url=shared_repository.as_uri(), variations=1)
        programs.wait_held(program)
        gateway.stop(signal.SIGKILL)
        assert wait_until_gone(gateway.data_dir, PROMPT_SECONDS) == []
    with serving(tmp_path / "data", *DEMO) as gateway:
        assert wait_until_removed(gateway.data_dir) == []
