"""An experiment through a real engine, with agents of known quality."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from aideator_gateway.experiments.report.model import Report
from aideator_gateway.scripted_model.server import ScriptedModel
from tests.support.command import run
from tests.support.known_quality import KnownQuality
from tests.support.labs import COST, Lab
from tests.support.talking import wait

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]

FLAGS = ("--backend", "dagger")
SECONDS = 240.0


@pytest.fixture
def known(
    engine: None,  # noqa: ARG001 - skips
    shared_repository: Path,
    tmp_path: Path,
) -> Iterator[tuple[Lab, KnownQuality]]:
    """Return a directory for an experiment, and the agents of its model."""
    agents = KnownQuality()
    with ScriptedModel(agents, record=False) as model:
        yield Lab(tmp_path, shared_repository, model, FLAGS, SECONDS), agents


def test_eight_attempts_are_ordinary_runs_and_come_out_as_known(
    known: tuple[Lab, KnownQuality],
) -> None:
    lab, agents = known
    lab.write()
    done = lab.run("--report", "report.json")
    assert "Complete: 8 of 8 attempts done" in done.stdout.decode()
    # Two turns an attempt, and none that did not count.
    assert agents.answers == 16
    lab.check_each_made_once(8)
    assert lab.results() == {"100 %": [[1, 1], [1, 1]], "50 %": [[0, 1], [0, 1]]}

    report = Report.model_validate_json((lab.directory / "report.json").read_text())
    assert report.complete
    assert [(c.passed, c.checked, c.repeated) for c in report.conditions] == [(4, 4, 0), (2, 4, 0)]
    assert [c.mean_cost_usd for c in report.conditions] == pytest.approx([COST, COST])
    assert {(a.backend, a.isolation) for a in report.attempts} == {("dagger", "dagger")}
    runs = {r["run_id"]: r for r in lab.runs()}
    assert len(runs) == 4
    for attempt in report.attempts:
        variation = runs[attempt.run_id or ""]["variations"][(attempt.variation_id or 0) - 1]
        assert variation["condition"]["label"] == attempt.condition
        assert variation["check"]["passed"] == attempt.passed
        assert variation["patch"]["files"] == attempt.files == 1
        assert runs[attempt.run_id or ""]["commit"] == attempt.commit
    one = report.attempts[0]
    words = ("show", one.run_id or "", str(one.variation_id))
    patch = run(*words, cwd=lab.directory, **lab.settings).stdout.decode()
    assert ("+good\n" if one.passed else "+bad\n") in patch


def test_killed_in_mid_run_it_goes_on_where_it_was(known: tuple[Lab, KnownQuality]) -> None:
    lab, agents = known
    # Of these it is known what passes, however many answers are lost.
    lab.write(repeats=1, at_once=1, qualities=(100, 0))
    with lab.started() as process:
        wait(lambda: agents.answers > 0, SECONDS)
        process.kill()
    done = lab.run("--json")
    assert json.loads(done.stdout.splitlines()[-1])["complete"]
    lab.check_each_made_once(4)
    assert lab.results() == {"100 %": [[1], [1]], "0 %": [[0], [0]]}
    assert [r["status"] for r in lab.runs()].count("interrupted") == 1
