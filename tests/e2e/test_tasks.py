"""The small real tasks, through gateway, sandbox and agent, with scripted solutions."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from aideator_gateway.scripted_model.script import TokenCounts
from aideator_gateway.scripted_model.server import ScriptedModel
from tests.support.forked import serving
from tests.support.gateways import Gateway
from tests.tasks.player import TaskPlayer
from tests.tasks.small_task import SmallTask, small_tasks

TASKS = small_tasks()
EACH = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    data = tmp_path_factory.mktemp("tasks") / "data"
    with (
        ScriptedModel(TaskPlayer(TASKS, TokenCounts(1000, 100)), record=False) as model,
        serving(
            data, "--backend", "local", "--allow-file", "--base-url", model.base_url,
            AIDEATOR_API_KEY="key",
        ) as served,
    ):  # fmt: skip
        yield served


def test_there_is_a_set_of_them() -> None:
    assert len(TASKS) >= 6


@EACH
def test_its_check_fails_as_long_as_nothing_is_done(task: SmallTask, tmp_path: Path) -> None:
    repository = task.make_repository(tmp_path / "repository")
    verdict = task.check(repository, b"", tmp_path / "check")
    assert not verdict.passed
    # It failed by what it looks at, not because it could not run.
    assert "AssertionError" in verdict.output, verdict.output


@EACH
def test_its_solution_solves_it(task: SmallTask, gateway: Gateway, tmp_path: Path) -> None:
    repository = task.make_repository(tmp_path / "repository")
    run_id = gateway.create(github_url=repository.as_uri(), prompt=task.prompt, variations=1)
    run = gateway.finish(run_id)
    (variation,) = run["variations"]
    assert variation["stop_reason"] == "end_turn", variation
    assert variation["turns"] == len(task.replies)
    transcript = gateway.http.get(f"/runs/{run_id}/variations/1/transcript").text
    assert '"is_error":true' not in transcript, transcript
    patch = gateway.http.get(f"/runs/{run_id}/variations/1/patch").content
    verdict = task.check(repository, patch, tmp_path / "check")
    assert verdict.passed, verdict.output
