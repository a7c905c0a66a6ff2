"""The list of runs: more of it comes as it is scrolled, and a search looks at all of them."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.page.conftest import Open
from tests.support.forked import serving

pytestmark = pytest.mark.browser

RUNS = 60
PAGE = 50


def test_more_runs_come_as_the_list_is_scrolled(visit: Open, tmp_path: Path) -> None:
    with serving(tmp_path / "data", "--demo", "--backend", "local", "--allow-file") as gateway:
        missing = (tmp_path / "missing").as_uri()
        ids = [
            gateway.create(github_url=missing, prompt=f"Number {number}.", variations=1)
            for number in range(RUNS)
        ]
        gateway.finish(ids[-1])
        tab = visit(gateway.url)
        rows = tab.page.get_by_role("list", name="Runs").get_by_role("listitem")
        expect(rows).to_have_count(PAGE)
        tab.page.mouse.move(640, 400)
        tab.page.mouse.wheel(0, 4000)
        expect(rows).to_have_count(RUNS)
        expect(rows.last).to_contain_text("Number 0.")
        told = rows.all_text_contents()
        assert len(set(told)) == RUNS
        # Nothing was used and there is nothing to choose: neither is shown as if there were.
        assert not [text for text in told if "cost" in text or "chosen" in text]
        tab.page.get_by_label("Search runs").fill("number 7.")
        expect(rows).to_have_count(1)
        tab.clean()


def test_a_run_that_waits_for_its_turn_shows_its_place(
    visit: Open, shared_repository: Path, tmp_path: Path
) -> None:
    flags = ("--demo", "--backend", "local", "--allow-file", "--max-concurrent-runs", "1")
    with serving(tmp_path / "data", *flags, "--demo-tokens-per-second", "5") as gateway:
        first, second, third = (
            gateway.create(github_url=shared_repository.as_uri(), prompt=name, variations=1)
            for name in ("first", "second", "third")
        )
        tab = visit(gateway.url)
        rows = tab.page.get_by_role("list", name="Runs").get_by_role("listitem")
        expect(rows.first).to_contain_text("place 2 in the queue")
        tab.page.get_by_role("link", name="third").click()
        facts = tab.page.locator(".run-head .facts")
        expect(facts).to_contain_text("place 2 in the queue")
        gateway.http.post(f"/runs/{second}/cancel")
        expect(facts).to_contain_text("place 1 in the queue")
        gateway.http.post(f"/runs/{first}/cancel")
        expect(facts).to_contain_text("running")
        expect(facts).to_contain_text("copies: ")
        expect(facts).not_to_contain_text("queue")
        gateway.http.post(f"/runs/{third}/cancel")
        tab.clean()
