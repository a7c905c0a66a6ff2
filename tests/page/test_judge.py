"""Blind judging on the page: keys, nothing that tells, two tabs at once, for everybody to read."""

import re
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from aideator_gateway.experiments.judgments import Judgment, read_judgments
from aideator_gateway.scripted_model.server import ScriptedModel
from tests.page.conftest import Open, Visit
from tests.page.looking import EACH_WITH_EACH, Looking, opened_as
from tests.support.forked import serving
from tests.support.gateways import Gateway
from tests.support.known_quality import KnownQuality
from tests.support.labs import Lab
from tests.tasks.steps import create

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

EVIL = "<script>window.ran = 1</script><img src=x onerror='window.ran = 2'>\x1b[31m\u202e\u2066"
VIEW = "#/experiments/known/judge"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, shared_repository: Path) -> Path:
    """Return the data of an experiment; a part of each attempt is hostile."""
    evil = create("evil<img src=x onerror=window.ran=3>.html", f"{EVIL}\n")
    with ScriptedModel(KnownQuality(5_000, evil), record=False) as model:
        lab = Lab(tmp_path_factory.mktemp("lab"), shared_repository, model)
        lab.write(qualities=(100, 0), repeats=2)
        lab.run()
        return lab.data


@pytest.fixture
def gateway(finished: Path, tmp_path: Path) -> Iterator[Gateway]:
    shutil.copytree(finished, tmp_path / "data")
    with serving(tmp_path / "data", "--backend", "local") as gateway:
        yield gateway


def judging(visit: Open, gateway: Gateway, done: int = 0, **options: object) -> Visit:
    tab = visit(gateway.url, f"/{VIEW}", **options)
    judged(tab.page, done)
    return tab


def judged(page: Page, count: int, of: int = 8) -> None:
    """Wait until the page says how many pairs are judged, and shows the next one."""
    expect(page.get_by_text(f"{count} of {of} pairs judged")).to_be_visible()
    if count < of:
        expect(page.locator(".pair").first).to_be_visible()
        expect(page.get_by_role("button", name="2 is better")).to_be_enabled()


def kept(gateway: Gateway) -> list[Judgment]:
    return read_judgments(gateway.data_dir / "experiments/known.judgments.jsonl")


def test_all_pairs_are_judged_with_keys_and_nothing_tells(visit: Open, gateway: Gateway) -> None:
    tab = judging(visit, gateway)
    page = tab.page
    shown = page.content()
    assert not re.search(r"100 %|\b0 %|run_[0-9a-f]|QUALITY|passed|failed", shown)
    page.get_by_label("Your name").fill("Ada L")
    judged(page, 0)
    # What is hostile is shown, and does nothing.
    diff = page.get_by_role("region", name="Attempt 1 against attempt 2")
    page.get_by_role("button", name="Unfold all").or_(
        page.get_by_role("button", name="Fold all")
    ).first.wait_for()
    page.locator(".file-fold", has_text="evil").click()
    expect(diff).to_contain_text("<script>window.ran = 1</script>")
    expect(diff).to_contain_text("\u241b[31m\u27e8U+202E\u27e9")
    assert page.evaluate("window.ran") is None
    for number, key in enumerate("12tsu"):
        page.keyboard.press(key)
        judged(page, 3 if key == "u" else number + 1)
    assert [one.verdict for one in kept(gateway)] == ["left", "right", "tie"]
    page.get_by_label("Show what the checks said").check()
    expect(page.get_by_text(re.compile("1: (passed|failed), 2: (passed|failed)"))).to_be_visible()
    for number in range(3, 8):
        good = page.locator(".line.add[data-side]", has_text="good").first.get_attribute(
            "data-side"
        )
        assert good
        page.keyboard.press(good)
        judged(page, number + 1)
    expect(page.get_by_text("You have judged all 8 pairs.")).to_be_visible()
    assert {one.judge for one in kept(gateway)} == {"Ada L"}
    assert {one.winner and one.winner.condition for one in kept(gateway)[3:]} == {"100 %"}
    assert all(one.seconds is not None for one in kept(gateway))
    tab.clean()


def test_no_pair_is_answered_under_a_name_that_it_was_not_dealt_to(
    visit: Open, gateway: Gateway
) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        if held:
            route.continue_()
        held.append(route)

    page = judging(visit, gateway, routes={"**/judging?judge=Ada": hold}).page
    page.get_by_label("Your name").fill("Ada")
    better = page.get_by_role("button", name="1 is better")
    expect(better).to_be_disabled()
    page.get_by_role("heading", name="Which is better?").click()
    page.keyboard.press("1")
    while not held:
        page.wait_for_timeout(20)
    assert kept(gateway) == []
    held[0].continue_()
    judged(page, 0)
    page.keyboard.press("1")
    judged(page, 1)
    assert [one.judge for one in kept(gateway)] == ["Ada"]


def test_two_tabs_at_once_lose_and_double_nothing(visit: Open, gateway: Gateway) -> None:
    tabs = [judging(visit, gateway).page for _ in range(2)]
    # Both have the same pair before them, and both answer.
    for tab in tabs:
        tab.keyboard.press("t")
    for tab in tabs:
        expect(tab.get_by_text(re.compile("[12] of 8 pairs judged"))).to_be_visible()
    assert [one.verdict for one in kept(gateway)] == ["tie", "tie"]
    # Two presses are one answer.
    page = tabs[0]
    page.get_by_role("button", name="2 is better").dblclick()
    judged(page, 2)
    assert Counter(one.verdict for one in kept(gateway)) == {"tie": 2, "right": 1}
    # Each takes back what it said itself.
    tabs[1].keyboard.press("u")
    expect(tabs[1].get_by_text(re.compile("2 of 8 pairs judged"))).to_be_visible()
    assert [one.verdict for one in kept(gateway)] == ["tie", "right"]


def test_an_answer_that_did_not_come_through_is_sent_again_as_the_same(
    visit: Open, gateway: Gateway
) -> None:
    def lose(route: Route) -> None:
        # The gateway has it, but its answer does not come through.
        route.fetch()
        route.abort()

    page = judging(visit, gateway, routes={"**/judgments": lose}).page
    page.keyboard.press("1")
    expect(page.locator(".notice")).to_contain_text("does not answer")
    page.unroute("**/judgments")
    page.keyboard.press("1")
    judged(page, 1)
    assert [one.verdict for one in kept(gateway)] == ["left"]


def test_it_can_be_read_by_everybody(visit: Open, gateway: Gateway) -> None:
    tab = visit(gateway.url, **opened_as(EACH_WITH_EACH))
    look = Looking(tab.page, gateway.url, EACH_WITH_EACH)
    look.show(VIEW, ".pair")
    look.show("#/experiments/none/judge", "[role=alert]")
    assert look.findings == []
    tab.clean()
