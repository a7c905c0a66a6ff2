"""Experiments on the page, and a report in a file of its own: read, followed, and harmless."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from aideator_gateway.command.client import Client
from aideator_gateway.command.datadir import Address
from aideator_gateway.command.experiment_gateway import ExperimentGateway
from aideator_gateway.experiments.beginning import begin
from aideator_gateway.experiments.journal import Journal
from aideator_gateway.experiments.report.links import Links
from aideator_gateway.experiments.report.writing import written
from aideator_gateway.experiments.runner import Runner
from aideator_gateway.experiments.stop import Stop
from tests.experiments.finished import carried_out, hostile, of_rates, plays, reported
from tests.experiments.scripted_gateway import experiment, task
from tests.page.conftest import Open
from tests.page.looking import APPEARANCES, Appearances, Looking, opened_as
from tests.support.forked import serving
from tests.support.gateways import Gateway

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, shared_repository: Path) -> Iterator[Gateway]:
    """Serve a data directory with an experiment that it carried out, and a hostile one."""
    data = tmp_path_factory.mktemp("experiments") / "data"
    with serving(data, "--demo", "--backend", "local", "--allow-file") as served:
        what = experiment(
            name="real", repeats=1, description="Carried out here.",
            tasks=[task("greet", repository=shared_repository.as_uri(), check=None)],
        )  # fmt: skip
        with (
            Client(Address(served.url, None)) as client,
            Journal.opened(data / "experiments/real.jsonl") as journal,
        ):
            beginning = begin(journal, what, {"aideator": "0"}, model="m", scripted=True)
            done = Runner(beginning, journal, ExperimentGateway(client), stop=Stop()).carry_out()
            assert done.complete, done
        carried_out(data, *hostile())
        yield served


def test_an_experiment_leads_to_what_its_attempts_did(visit: Open, gateway: Gateway) -> None:
    tab = visit(gateway.url)
    page = tab.page
    page.get_by_role("link", name="Experiments").click()
    rows = page.get_by_role("list", name="Experiments").get_by_role("listitem")
    expect(rows).to_have_count(2)
    expect(rows.filter(has_text="real")).to_contain_text("2 of 2 attempts")
    expect(rows.filter(has_text="real")).to_contain_text("Scripted demo, not an LLM")
    page.get_by_role("link", name="real").click()
    report = page.locator("article.r-report")
    expect(report.get_by_role("heading", name="real")).to_be_visible()
    expect(report).to_contain_text("scripted demo and no LLM")
    expect(report.get_by_role("table").first).to_contain_text("careful")
    expect(report.locator("svg.r-plot").first).to_be_visible()
    # No style sheet of the page has changed what is drawn.
    drawn = "all => all.map(e => [e.getBBox().height, Number(e.getAttribute('height'))])"
    heights = report.locator("svg rect").evaluate_all(drawn)
    assert heights and all(shown == pytest.approx(said, abs=0.1) for shown, said in heights)
    page.get_by_role("link", name="greet, plain, repeat 1").first.click()
    expect(page.get_by_role("region", name="Patch of attempt")).to_be_visible()
    page.go_back()
    expect(report).to_be_visible()
    report.get_by_text("Each attempt, with its run").click()
    report.get_by_role("link", name="transcript of greet, careful, repeat 1").click()
    expect(page.get_by_role("log").first).to_be_visible()
    # What somebody chooses is in the report that is looked at next.
    run_id = page.url.rpartition("/runs/")[2].partition("/")[0]
    choice = {"winning_variation_id": 1}
    assert gateway.http.post(f"/runs/{run_id}/select", json=choice).status_code == 200
    page.keyboard.press("e")
    expect(rows).to_have_count(2)
    page.get_by_role("link", name="real").click()
    expect(report).to_contain_text("1 comparison: 0 judged blind, 1 from winners of runs.")
    with page.expect_download() as saved:
        page.goto(f"{gateway.url}/#/experiments/real")
        page.get_by_role("button", name="Download").click()
    assert saved.value.suggested_filename == "real.html"
    page.goto(f"{gateway.url}/#/experiments/nothing")
    expect(page.locator(".notice[role=alert]")).to_contain_text("There is no experiment 'nothing'")
    tab.clean()


def test_a_hostile_experiment_is_shown_and_inert(
    visit: Open, gateway: Gateway, tmp_path: Path
) -> None:
    tab = visit(gateway.url, "/#/experiments/exp")
    report = tab.page.locator("article.r-report")
    expect(report).to_contain_text("<b onclick=ran=5>")
    expect(report).to_contain_text("</script><script>ran=1</script>")
    report.locator("summary").first.click()
    expect(report.locator(".r-prompt").first).to_contain_text("<script>ran=6</script>")
    assert tab.page.evaluate("typeof ran") == "undefined"
    tab.clean()
    # The file that the server sends, and one that a command wrote.
    file = tmp_path / "report.html"
    file.write_text(written(reported(gateway.data_dir), "html", Links(gateway.url)))
    for address in (f"{gateway.url}/experiments/exp/report.html", file.as_uri()):
        own = visit("about:", "blank")
        own.page.goto(address)
        expect(own.page.locator("article.r-report")).to_contain_text("<b onclick=ran=5>")
        assert own.page.evaluate("typeof ran") == "undefined"
        assert own.page.locator("script, img, [style], [onclick]").count() == 0
        assert own.page.evaluate("violations") == []
        assert own.complaints == []
        assert own.requests == [address]
        # Its style is let in by its own policy.
        assert own.page.locator(".r-report").evaluate("e => getComputedStyle(e).display") == "grid"


@APPEARANCES
def test_it_can_be_read_by_everybody(
    visit: Open, gateway: Gateway, tmp_path: Path, appearances: Appearances
) -> None:
    options = opened_as(appearances)
    rates = {name: [1.0, 0.5, 0.0] for name in ("A", "B", "C")}
    what = of_rates(rates, repeats=3, baseline="A")
    carried_out(tmp_path, what, plays(rates))
    winners = {a.run_id: 1 for a in reported(tmp_path).attempts if a.run_id}
    file = tmp_path / "report.html"
    file.write_text(written(reported(tmp_path, (), winners), "html", Links()))
    tab = visit(gateway.url, **options)
    look = Looking(tab.page, gateway.url, appearances)
    look.show("#/experiments", ".experiment-row")
    look.show("#/experiments/exp", "article.r-report")
    look.show("#/experiments/real", "article.r-report")
    tab.clean()
    own = visit("about:", "blank", bypass_csp=True, **options)
    own.page.goto(file.as_uri())
    own.page.locator("details").evaluate_all("all => all.forEach(e => e.open = true)")
    own_look = Looking(own.page, "", appearances)
    own_look.look("report.html", "article.r-report")
    assert [*look.findings, *own_look.findings] == []
