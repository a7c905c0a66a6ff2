"""From an empty page to a recorded choice, by mouse and by keyboard alone."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from tests.page.conftest import Open
from tests.support.forked import serving
from tests.support.gateways import Gateway
from tests.support.repositories import make_repository

pytestmark = pytest.mark.browser


def test_from_an_empty_page_to_a_recorded_choice(visit: Open, tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repository")
    flags = ("--demo", "--backend", "local", "--allow-file", "--demo-tokens-per-second", "200")
    with serving(tmp_path / "data", *flags) as gateway:
        tab = visit(gateway.url)
        start(tab.page, repository)
        watch(tab.page)
        run_id = choose(tab.page, gateway)
        replay(tab.page)
        find_and_delete(tab.page)
        assert gateway.http.get(f"/runs/{run_id}").status_code == 404
        tab.clean()


def start(page: Page, repository: Path) -> None:
    """Fill in the form; what is wrong is said at its field, in the API's own words."""
    expect(page.get_by_role("banner")).to_contain_text("Scripted demo, not an LLM")
    page.get_by_role("button", name="Start the first run").click()
    page.get_by_role("button", name="Start 3 attempts").click()
    field = page.get_by_label("Repository (required)")
    expect(field).to_be_focused()
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#field-github_url-error")).to_have_text("This field is required.")
    field.fill(repository.as_uri())
    page.get_by_label("Prompt (required)").fill("Make it better.\nBut keep it small.")
    first = page.get_by_role("region", name="Attempt 1")
    first.get_by_label("Style", exact=True).select_option("smallest")
    # Folded away again, it is unfolded for what is wrong in it.
    more = first.get_by_text("More", exact=False)
    more.click()
    temperature = first.get_by_label("Temperature")
    temperature.fill("7")
    more.click()
    expect(temperature).to_be_hidden()
    page.get_by_role("button", name="Start 3 attempts").click()
    expect(temperature).to_be_focused()
    expect(page.locator("#field-conditions-0-temperature-error")).to_contain_text("less than")
    temperature.fill("")
    page.get_by_role("button", name="Start 3 attempts").click()


def watch(page: Page) -> None:
    """Text while it comes, then the results by themselves."""
    log = page.get_by_role("log", name="What attempt 2 says and does")
    expect(log).to_contain_text("not an LLM")
    cards = page.get_by_role("list", name="Attempts").get_by_role("listitem")
    expect(cards).to_have_count(3)
    expect(cards.first).to_contain_text("smallest")
    expect(cards.first).to_contain_text("no cost")
    page.get_by_role("button", name="Look at attempt 2").click()
    expect(page.get_by_role("region", name="Patch of attempt 2")).to_contain_text("greet.py")
    page.get_by_label("against").select_option("attempt 3")
    against = page.get_by_role("region", name="Attempt 2 against attempt 3")
    expect(against).to_contain_text("only attempt 3 touches it")


def choose(page: Page, gateway: Gateway) -> str:
    """Choose with a reason, choose again, and take the patch away."""
    page.get_by_role("button", name="Choose attempt 2").click()
    page.get_by_label(re.compile("Why this one")).fill("It is the clearest.")
    page.get_by_role("dialog").get_by_role("button", name="Choose attempt 2").click()
    choice = page.get_by_role("region", name="Choice")
    expect(choice).to_contain_text("It is the clearest.")
    run_id = page.url.split("/runs/")[1].split("/")[0]
    assert gateway.run(run_id)["selections"][0]["reason"] == "It is the clearest."
    gateway.http.post(f"/runs/{run_id}/select", json={"winning_variation_id": 1})
    page.reload()
    choice.get_by_text("Before: 1").click()
    expect(choice).to_contain_text("It is the clearest.")

    page.get_by_role("button", name="None is good enough").click()
    page.get_by_label(re.compile("Why none of them")).fill("All are too long.")
    page.get_by_role("dialog").get_by_role("button", name="Record that").click()
    expect(choice).to_contain_text("Chosen: none of them All are too long.")
    assert gateway.run(run_id)["winning_variation_id"] is None
    gateway.http.post(f"/runs/{run_id}/select", json={"winning_variation_id": 1})

    page.goto(f"{gateway.url}/#/runs/{run_id}/results/2")
    page.get_by_role("button", name="Apply or download").click()
    expect(page.get_by_role("dialog")).to_contain_text(f"aideator apply {run_id} 2")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the patch").click()
    patch = gateway.http.get(f"/runs/{run_id}/variations/2/patch").content
    assert Path(download.value.path()).read_bytes() == patch
    page.keyboard.press("Escape")
    return run_id


def test_what_was_not_saved_is_said(visit: Open, shared_repository: Path, tmp_path: Path) -> None:
    flags = ("--demo", "--backend", "local", "--allow-file", "--demo-tokens-per-second", "1000")
    with serving(tmp_path / "data", *flags) as gateway:
        run_id = gateway.create(github_url=shared_repository.as_uri(), variations=1)
        gateway.finish(run_id)
        tab = visit(gateway.url, f"/#/runs/{run_id}")
        page = tab.page
        # Its code is there, though the gateway soon is not.
        page.get_by_role("link", name="Transcripts").click()
        expect(page.get_by_role("log")).to_contain_text("Finished.")
        page.get_by_role("link", name="Results").click()
        page.get_by_role("button", name="Apply or download").click()
        gateway.stop()
        page.get_by_role("button", name="Download the patch").click()
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_role("alert")).to_contain_text(f"{run_id}-1.patch was not saved.")
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Choose attempt 1").click()
        page.get_by_label(re.compile("Why this one")).fill("Kept.")
        dialog.get_by_role("button", name="Choose attempt 1").click()
        expect(dialog.get_by_role("alert")).to_contain_text("does not answer")
        expect(page.get_by_label(re.compile("Why this one"))).to_have_value("Kept.")
        page.keyboard.press("Escape")
        page.get_by_role("link", name="Transcripts").click()
        page.get_by_role("button", name="download the transcript").click()
        expect(page.get_by_text(f"{run_id}-1.jsonl was not saved.")).to_be_in_viewport()
        page.get_by_role("button", name="Close").click()
        expect(page.get_by_text("was not saved")).to_have_count(0)


def replay(page: Page) -> None:
    """Go back to the start, and play it again."""
    page.get_by_role("link", name="Transcripts").click()
    log = page.get_by_role("log")
    expect(log).to_have_count(3)
    expect(log.first).to_contain_text("Finished.")
    expect(page.get_by_label("Moment of the run")).to_be_enabled()
    page.get_by_label("Moment of the run").fill("0")
    expect(log.first).not_to_contain_text("Finished.")
    page.get_by_label("Speed").select_option("32")
    page.get_by_role("button", name="Play").click()
    expect(log.first).to_contain_text("Finished.")


def find_and_delete(page: Page) -> None:
    """Find the run by a word of its prompt, and delete it after a question."""
    page.get_by_role("link", name="AIdeator").click()
    row = page.get_by_role("list", name="Runs").get_by_role("listitem")
    expect(row).to_contain_text("Make it better.")
    expect(row).to_contain_text("chosen")
    page.get_by_label("Search runs").fill("nothing has this")
    expect(page.get_by_text("No run has")).to_be_visible()
    page.get_by_label("Search runs").fill("BETTER")
    expect(row).to_have_count(1)
    page.get_by_role("button", name="Delete: Make it better.").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(row).to_have_count(0)


def test_the_keyboard_is_enough(
    visit: Open, demo_gateway: Gateway, shared_repository: Path
) -> None:
    run_id = demo_gateway.create(github_url=shared_repository.as_uri())
    demo_gateway.finish(run_id)
    tab = visit(demo_gateway.url, f"/#/runs/{run_id}")
    page = tab.page
    expect(page.get_by_role("region", name="Patch of attempt 1")).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Next and previous file")
    page.keyboard.press("Escape")
    page.keyboard.press("3")
    expect(page.get_by_role("region", name="Patch of attempt 3")).to_be_visible()
    page.keyboard.press("c")
    expect(page.get_by_role("region", name="Attempt 3 against attempt 1")).to_be_visible()
    page.keyboard.press("x")
    expect(page.get_by_role("region", name="Attempt 1 against attempt 3")).to_be_visible()
    page.keyboard.press("s")
    expect(page.get_by_label(re.compile("Why this one"))).to_be_focused()
    page.keyboard.type("n is a letter here, not a shortcut")
    _tab_to(page, "Choose attempt 1")
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="Choice")).to_contain_text("n is a letter here")
    page.keyboard.press("l")
    expect(page.get_by_role("heading", name="Runs")).to_be_visible()
    page.keyboard.press("/")
    expect(page.get_by_label("Search runs")).to_be_focused()
    tab.clean()


def _tab_to(page: Page, name: str) -> None:
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.innerText") == name:
            return
    raise AssertionError(f"{name} cannot be reached by Tab")


def test_patches_that_do_the_same_are_said_to(
    visit: Open, demo_gateway: Gateway, shared_repository: Path
) -> None:
    run_id = demo_gateway.create(github_url=shared_repository.as_uri(), variations=2)
    demo_gateway.finish(run_id)
    patch = demo_gateway.http.get(f"/runs/{run_id}/variations/1/patch").content
    second = f"**/runs/{run_id}/variations/2/patch"

    def answer(route: Route) -> None:
        route.fulfill(body=patch)

    tab = visit(demo_gateway.url, f"/#/runs/{run_id}", routes={second: answer})
    page = tab.page
    expect(page.get_by_text("the same patch as attempt 2, to the byte")).to_be_visible()
    other = re.sub(rb"(?m)^index .*$", b"index 1111111..2222222 100644", patch)
    page.route(second, lambda route: route.fulfill(body=other))
    page.reload()
    expect(page.get_by_text("the same changes as attempt 2")).to_be_visible()
    tab.clean()


# As many lines as the latter take a while to compare.
@pytest.mark.parametrize("count", [400, 30_000])
def test_the_other_way_round_is_read_from_the_same_place(
    visit: Open, demo_gateway: Gateway, shared_repository: Path, count: int
) -> None:
    run_id = demo_gateway.create(github_url=shared_repository.as_uri())
    demo_gateway.finish(run_id)

    def patch(number: int) -> str:
        lines = "".join(f"+line {n}{f' of {number}' * (n % 50 == 0)}\n" for n in range(count))
        return (
            "diff --git a/long.txt b/long.txt\nnew file mode 100644\nindex 0000000..1111111\n"
            f"--- /dev/null\n+++ b/long.txt\n@@ -0,0 +1,{count} @@\n{lines}"
        )

    def answer(route: Route) -> None:
        route.fulfill(body=patch(int(route.request.url.split("/")[-2])))

    tab = visit(
        demo_gateway.url, f"/#/runs/{run_id}/results/1/against/2",
        routes={f"**/runs/{run_id}/variations/*/patch": answer},
    )  # fmt: skip
    page = tab.page
    only = page.get_by_label("Only where they differ")
    compared = page.get_by_role("region", name="Attempt 1 against attempt 2")
    expect(compared).to_contain_text("line 0 of 1")
    page.evaluate("scrollTo(0, 5000)")
    expect(compared).to_contain_text("line 250 of 1")
    page.keyboard.press("x")
    swapped = page.get_by_role("region", name="Attempt 2 against attempt 1")
    expect(swapped).to_contain_text("line 250 of 2")
    assert page.evaluate("scrollY") == 5000

    # What was chosen to be shown holds for the next two as well.
    page.keyboard.press("d")
    expect(swapped).to_contain_text("43 lines the same in both")
    page.keyboard.press("c")
    expect(page.get_by_role("region", name="Attempt 2 against attempt 3")).to_be_visible()
    expect(only).to_be_checked()
    tab.clean()
