"""Reports of experiments that ran through a real gateway with agents of known quality."""

import json
import re
import shlex
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]  # its types are a package more

from aideator_gateway.command.cli import cli
from aideator_gateway.experiments.report.model import Report
from aideator_gateway.scripted_model.server import ScriptedModel
from tests.support.forked import error_of, run, serving
from tests.support.known_quality import KnownQuality
from tests.support.labs import COST, FLAGS, Lab

WORKFLOW = Path(__file__).parents[2] / "examples/github/experiment.yml"


@pytest.fixture
def agents() -> KnownQuality:
    return KnownQuality()


@pytest.fixture
def lab(tmp_path: Path, shared_repository: Path, agents: KnownQuality) -> Iterator[Lab]:
    with ScriptedModel(agents, record=False) as model:
        yield Lab(tmp_path, shared_repository, model)


@pytest.fixture
def served(lab: Lab) -> Iterator[Lab]:
    """Return a lab with a gateway that serves it, so that commands need none of their own."""
    server = {k: v for k, v in lab.settings.items() if k != "AIDEATOR_DATA_DIR"}
    with serving(lab.data, *FLAGS, "--allow-file", **server):
        yield lab


def told(lab: Lab, *words: str, expect: int = 0) -> str:
    done = run("experiment", "report", *words, cwd=lab.directory, expect=expect, **lab.settings)
    return done.stdout.decode()


def test_twelve_attempts_are_reported_as_known(served: Lab, agents: KnownQuality) -> None:
    lab = served
    lab.write(tasks=3, repeats=2)
    # All that is wrong with a wish is said before anything is spent.
    words = ("experiment", "run", "experiment.toml", *FLAGS)
    for wish, why in (
        (("--min-pass-rate", "70"), "is no pass rate"),
        (("--report", "report.pdf"), "its name has to end in"),
    ):
        assert why in error_of(*words, *wish, cwd=lab.directory, expect=2, **lab.settings)
    assert agents.answers == 0
    done = lab.run("--min-pass-rate", "0.5", "--report", "out/report.json", "--report", "r.html")
    said = done.stdout.decode()
    assert "Complete: 12 of 12 attempts done" in said
    assert re.search(r"1  100 %\s+6/6\s+100 %", said) and re.search(r"2  50 %\s+6/6\s+50 %", said)
    answers = agents.answers
    report = Report.model_validate_json((lab.directory / "out/report.json").read_text())
    assert report.complete
    assert [(c.passed, c.checked) for c in report.conditions] == [(6, 6), (3, 6)]
    assert [c.mean_cost_usd for c in report.conditions] == pytest.approx([COST, COST])
    runs = {r["run_id"]: r for r in lab.runs()}
    for attempt in report.attempts:
        variation = runs[attempt.run_id or ""]["variations"][(attempt.variation_id or 0) - 1]
        assert variation["condition"]["label"] == attempt.condition
        assert variation["check"]["passed"] == attempt.passed
        assert runs[attempt.run_id or ""]["commit"] == attempt.commit == report.tasks[0].commit
    assert "<script" not in (lab.directory / "r.html").read_text()

    # The same command again asks no model, and says the same.
    # Half as much on three tasks may be chance.
    wishes = ("--min-pass-rate", "0.5", "--min-pass-rate", "50 %=0.75", "--no-worse-than", "100 %")
    again = lab.run(*wishes, expect=3)
    assert again.stdout.decode() == said
    missing = [line for line in again.stderr.decode().splitlines() if "Not reached" in line]
    assert missing == ["Not reached: 50 %: 3 of 6 attempts pass, which is less than 75 %."]
    lines = [
        json.loads(line)
        for line in lab.run("--json", "--min-pass-rate", "0.75", expect=3).stdout.splitlines()
    ]
    assert lines[-1]["event"] == "thresholds" and not lines[-1]["reached"]
    assert agents.answers == answers


def test_a_report_says_what_is_so_when_it_is_asked_for(served: Lab) -> None:
    lab = served
    lab.write(tasks=1, repeats=1)
    words = ("experiment", "report")
    for name, why in (("known", "no experiment of that name"), ("experiment.toml", "begins it.")):
        assert why in error_of(*words, name, cwd=lab.directory, **lab.settings)
    lab.run("--report", "report.json")
    report = Report.model_validate_json((lab.directory / "report.json").read_text())
    assert report.people is None
    # A person's choice counts as soon as it is made.
    chosen = next(a for a in report.attempts if a.condition == "50 %")
    selected = ("select", chosen.run_id or "", str(chosen.variation_id))
    run(*selected, cwd=lab.directory, **lab.settings)
    people = Report.model_validate_json(told(lab, "known", "--format", "json")).people
    assert people and (people.judged, people.selected) == (0, 1)
    assert [p.win_rate and p.win_rate.value for p in people.preferences] == [0, 1]

    assert told(lab, "known", "--format", "csv").count("\n") == 3
    told(lab, "experiment.toml", "--output", "report.md", "--links", "https://box.example/")
    text = (lab.directory / "report.md").read_text()
    assert f"(<https://box.example/#/runs/{chosen.run_id}/results/{chosen.variation_id}>)" in text

    # A file counts as it is now.
    lab.write(tasks=2, repeats=1)
    assert "Not finished: 2 of 4 attempts have a result." in told(lab, "experiment.toml")
    assert "Not finished" not in told(lab, "known")


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_sixty_attempts_are_reported_as_known(lab: Lab) -> None:
    lab.write(tasks=6, repeats=5, qualities=(80, 40), budget=20.0)
    with lab.started() as process:
        assert process.wait(1000) == 0, (lab.directory / "said").read_text()
    # All is there: what is asked for afterwards costs nothing.
    done = lab.run("--report", "report.json", "--no-worse-than", "80 %", expect=3)
    assert "Not reached: Worse than 80 %: 40 % passes 40 points fewer than 80 %" in (
        done.stderr.decode()
    )
    report = Report.model_validate_json((lab.directory / "report.json").read_text())
    assert report.complete and report.done == 60
    assert [(c.passed, c.checked) for c in report.conditions] == [(24, 30), (12, 30)]
    assert Counter(a.condition for a in report.attempts) == {"80 %": 30, "40 %": 30}
    (one,) = report.comparisons
    assert one.verdict == "fewer" and one.lost and not one.gained
    print(f"\n{one.sentence}")  # noqa: T201 - for the docs


def test_the_workflow_gives_commands_that_exist() -> None:
    held = yaml.safe_load(WORKFLOW.read_text())
    (job,) = held["jobs"].values()
    given = [
        shlex.split(step["run"])[1:]
        for step in job["steps"]
        if step.get("run", "").startswith("aideator ")
    ]
    assert [words[:2] for words in given] == [["experiment", "plan"], ["experiment", "run"]]
    group = cli.commands["experiment"]
    for _, name, *rest in given:
        command = group.commands[name]  # type: ignore[attr-defined]  # it is a group
        known = {flag for parameter in command.params for flag in parameter.opts}
        assert {word for word in rest if word.startswith("--")} <= known
    # YAML reads this one word as true.
    assert held[True]["pull_request"]["paths"]
