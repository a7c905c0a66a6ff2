"""Reports over HTTP: made beside the server, once for each state of an experiment."""

import asyncio
import os
import shutil
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import pytest

from aideator_gateway.experiments.judgments import Judgment, Shown, add_judgment
from aideator_gateway.experiments.report.document import STYLE, document, policy
from aideator_gateway.experiments.report.links import Links
from aideator_gateway.experiments.report.model import Report
from aideator_gateway.experiments.reports import Reports
from aideator_gateway.runs.problems import Problem
from tests.experiments.finished import carried_out, of_rates, plays, reported
from tests.support.forked import serving
from tests.support.gateways import Gateway

RATES = {"A": [1.0, 0.0, 0.0], "B": [1.0, 1.0, 0.0]}


class People:
    """Chooses winners, and is asked for them."""

    def __init__(self) -> None:
        self.winners: dict[str, int] = {}
        self.asked: list[Collection[str]] = []

    async def __call__(self, run_ids: Collection[str]) -> Mapping[str, int]:
        self.asked.append(run_ids)
        return {run_id: number for run_id, number in self.winners.items() if run_id in run_ids}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data directory with an experiment, and with other things beside it."""
    directory = tmp_path_factory.mktemp("reports") / "data"
    what = of_rates(RATES, description="Does it help?", repeats=2)
    carried_out(directory, what, plays(RATES))
    (directory / "experiments/broken.jsonl").write_text('{"entry": "begun"}\n')
    (directory / "experiments/exp.judgments.jsonl").write_text("")
    (directory / "experiments/empty.jsonl").write_text("")
    os.utime(directory / "experiments/broken.jsonl", (1, 1))
    return directory


@pytest.fixture(scope="module")
def gateway(data: Path) -> Iterator[Gateway]:
    with serving(data, "--demo", "--backend", "local") as served:
        yield served


def test_experiments_are_listed_the_last_changed_first(gateway: Gateway) -> None:
    good, broken = gateway.http.get("/experiments").json()["experiments"]
    assert good.pop("changed_at") > broken["changed_at"]
    assert good == {
        "name": "exp", "description": "Does it help?", "attempts": 12, "done": 12,
        "scripted": False, "problem": None,
    }  # fmt: skip
    assert (broken["name"], broken["attempts"]) == ("broken", 0)
    assert "cannot be read" in broken["problem"]


def test_a_report_is_what_the_command_says(gateway: Gateway, data: Path) -> None:
    expected = reported(data)
    answer = gateway.http.get("/experiments/exp/report")
    assert answer.headers["content-type"] == "application/json"
    assert Report.model_validate_json(answer.content) == expected
    page = gateway.http.get("/experiments/exp/report.html")
    assert page.text == document(expected, Links())
    bare = gateway.http.get("/experiments/exp/report.html", params={"style": "false"})
    assert bare.text == page.text.replace(f"<style>{STYLE}</style>", "")
    wrong = gateway.http.get("/experiments/exp/report.html", params={"style": "x"})
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "style")
    assert page.headers["content-type"].startswith("text/html")
    assert page.headers["content-security-policy"] == f"{policy()}; frame-ancestors 'none'"


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("other", 404, "experiment_not_found"),
        ("empty", 404, "experiment_not_found"),
        ("exp.judgments", 404, "experiment_not_found"),
        ("..%2Fexperiments%2Fexp", 404, None),
        ("broken", 500, "journal_unusable"),
    ],
)
def test_what_is_not_there_is_a_problem(
    gateway: Gateway, name: str, status: int, code: str | None
) -> None:
    for suffix in ("report", "report.html"):
        answer = gateway.http.get(f"/experiments/{name}/{suffix}")
        assert answer.status_code == status
        assert code is None or answer.json()["code"] == code


def test_one_is_made_once_for_each_state(data: Path, tmp_path: Path) -> None:
    shutil.copytree(data / "experiments", tmp_path / "experiments")
    asyncio.run(one_is_made_once_for_each_state(tmp_path))


async def one_is_made_once_for_each_state(data: Path) -> None:
    people = People()
    reports = Reports(data / "experiments", people)
    first, second = await asyncio.gather(reports.report("exp"), reports.report("exp"))
    assert first is second
    assert await reports.report("exp") is first
    report = Report.model_validate_json(first.report)
    assert set(people.asked[0]) == {a.run_id for a in report.attempts}

    chosen = report.attempts[0]
    people.winners = {chosen.run_id or "": chosen.variation_id or 0}
    other = await reports.report("exp")
    assert other is not first
    told = Report.model_validate_json(other.report).people
    assert told and told.selected == 1

    left, right = (
        Shown(run_id=one.run_id or "", variation_id=one.variation_id or 0, condition=one.condition)
        for one in report.attempts[:2]
    )
    said = Judgment(id="8f1c2d3e", task=chosen.task, left=left, right=right, verdict="left")
    add_judgment(data / "experiments/exp.judgments.jsonl", said)
    judged = await reports.report("exp")
    told = Report.model_validate_json(judged.report).people
    assert told and (told.judged, told.selected) == (1, 1)
    assert await reports.report("exp") is judged

    journal = data / "experiments/exp.jsonl"
    os.utime(journal, ns=(0, journal.stat().st_mtime_ns + 1))
    assert await reports.report("exp") is not judged


def test_nothing_waits_for_figures(data: Path) -> None:
    asyncio.run(nothing_waits_for_figures(data))


async def nothing_waits_for_figures(data: Path) -> None:
    gaps, last = [], time.monotonic()

    async def tick() -> None:
        nonlocal last
        while True:
            await asyncio.sleep(0.005)
            gaps.append(time.monotonic() - last)
            last = time.monotonic()

    ticking = asyncio.create_task(tick())
    began = time.monotonic()
    await Reports(data / "experiments", People()).report("exp")
    took = time.monotonic() - began
    ticking.cancel()
    assert max(gaps) < took / 2, f"{max(gaps):.2f} s of {took:.2f} s"


def test_what_cannot_be_made_says_why(data: Path) -> None:
    asyncio.run(what_cannot_be_made_says_why(data))


async def what_cannot_be_made_says_why(data: Path) -> None:
    reports = Reports(data / "experiments", People(), needs=("numpy", "not_there"))
    with pytest.raises(Problem) as found:
        await reports.report("exp")
    assert found.value.code == "experiments_not_installed"
    assert "pip install 'aideator[experiments]'" in found.value.detail
    with pytest.raises(Problem) as slow:
        await Reports(data / "experiments", People(), seconds=0.01).report("exp")
    assert slow.value.code == "report_failed"
