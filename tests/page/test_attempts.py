"""Each attempt is told as it went: retries, refusals, failures, checks that are not known."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from aideator_gateway.scripted_model.script import (
    Drop,
    Hang,
    HttpError,
    Reply,
    Text,
    Thinking,
    ToolUse,
)
from aideator_gateway.scripted_model.server import Script, ScriptedModel
from tests.page.conftest import Open
from tests.support.checks import need_bubblewrap
from tests.support.forked import serving

pytestmark = pytest.mark.browser


def test_what_went_wrong_is_told_in_plain_words(
    visit: Open, shared_repository: Path, tmp_path: Path
) -> None:
    view = {"command": "view", "path": "no-such-file.py"}
    retried: list[Reply] = [
        [Thinking("First a thought."), Text("Half a sen"), Drop()],
        [Text("The whole sentence."), ToolUse("str_replace_based_edit_tool", view)],
        [Text("Done.")],
    ]
    failing: list[Reply] = [[HttpError(401, "authentication_error", "invalid x-api-key")]]
    with (
        ScriptedModel(Script({1: retried, 2: failing})) as model,
        serving(
            tmp_path / "data", "--backend", "local", "--allow-file", "--base-url", model.base_url,
            AIDEATOR_API_KEY="key",
        ) as gateway,
    ):  # fmt: skip
        run_id = gateway.create(github_url=shared_repository.as_uri(), variations=2)
        run = gateway.finish(run_id)
        tab = visit(gateway.url, f"/#/runs/{run_id}")
        page = tab.page
        failed = page.get_by_role("list", name="Attempts").get_by_role("listitem").nth(1)
        expect(failed).to_contain_text("failed")
        expect(failed).to_contain_text(run["variations"][1]["remedy"])
        expect(failed.get_by_role("button", name="Choose attempt 2")).to_be_disabled()
        expect(page.get_by_text("changed nothing").first).to_be_visible()

        page.get_by_role("link", name="Transcripts").click()
        log = page.get_by_role("log", name="What attempt 1 says and does")
        expect(log).to_contain_text("The request failed and is repeated")
        superseded = log.locator(".superseded")
        expect(superseded.get_by_text("Half a sen")).to_be_visible()
        expect(log.get_by_text("The whole sentence.")).to_be_visible()
        expect(superseded.get_by_text("The whole sentence.")).to_have_count(0)
        call = log.get_by_role("group").filter(has_text="no-such-file.py")
        expect(call).to_contain_text("refused")
        call.get_by_text("view").click()
        expect(log.get_by_role("group", name="Result of")).to_contain_text("no-such-file.py")
        page.get_by_label("Show thinking").uncheck()
        expect(log.get_by_text("First a thought.")).to_have_count(0)
        tab.clean()


def test_a_wait_is_told_as_a_wait_and_not_as_a_failure(
    visit: Open, shared_repository: Path, tmp_path: Path
) -> None:
    limited = HttpError(429, "rate_limit_error", "Slow down.", headers={"retry-after": "1"})
    replies: list[Reply] = [[limited], [limited], [Text("Done.")]]
    with (
        ScriptedModel(Script({1: replies})) as model,
        serving(
            tmp_path / "data", "--backend", "local", "--allow-file", "--base-url", model.base_url,
            AIDEATOR_API_KEY="key",
        ) as gateway,
    ):  # fmt: skip
        run_id = gateway.create(github_url=shared_repository.as_uri(), variations=1)
        gateway.finish(run_id)
        tab = visit(gateway.url, f"/#/runs/{run_id}/replay")
        log = tab.page.get_by_role("log")
        # One line for all of them, however many there are.
        told = log.get_by_text(re.compile(r"^Waits \d times, .* s in all, for its turn: "))
        expect(told).to_have_count(1)
        expect(told).to_contain_text("the model's server limits requests.")
        expect(log).not_to_contain_text("failed")
        tab.clean()


def test_an_edit_is_told_by_its_file_and_its_size(
    visit: Open, shared_repository: Path, tmp_path: Path
) -> None:
    new = 'def greet(name):\n    """Greet."""\n'
    edit = {
        "command": "str_replace",
        "path": "greet.py",
        "old_str": "def greet(name):\n",
        "new_str": new,
    }
    use = ToolUse("str_replace_based_edit_tool", edit)
    # What is said behind a call keeps its result waiting.
    replies: list[Reply] = [[use, Text(["word "] * 60, pace=0.1)], [Text("Done."), Hang()]]
    with (
        ScriptedModel(Script({1: replies})) as model,
        serving(
            tmp_path / "data", "--backend", "local", "--allow-file", "--base-url", model.base_url,
            AIDEATOR_API_KEY="key",
        ) as gateway,
    ):  # fmt: skip
        run_id = gateway.create(github_url=shared_repository.as_uri(), variations=1)
        narrow = {"width": 360, "height": 740}
        tab = visit(gateway.url, f"/#/runs/{run_id}/live", viewport=narrow)
        call = tab.page.get_by_role("log").get_by_role("group").filter(has_text="edit")
        summary = call.locator("summary")
        expect(summary).to_contain_text("\u2026")
        expect(summary).to_contain_text(re.compile(r"edit.*greet\.py.*\+2 \u22121$"))
        # However narrow it is, what came of it is in sight.
        outcome, box = summary.locator("> :last-child").bounding_box(), summary.bounding_box()
        assert outcome
        assert box
        assert outcome["x"] + outcome["width"] <= box["x"] + box["width"]
        summary.click()
        expect(call.locator(".long.del")).to_contain_text("def greet")
        expect(call.locator(".long.add")).to_contain_text("Greet.")
        expect(call.get_by_role("group", name="Result of")).to_contain_text("Edited greet.py")
        tab.clean()


def test_a_check_is_shown_as_soon_as_it_is_through_or_never_will_be(
    visit: Open, shared_repository: Path, tmp_path: Path
) -> None:
    replies: dict[int, list[Reply]] = {
        1: [[Text("Nothing to do.")]],
        2: [[Text("At work."), Hang()]],
    }
    with (
        ScriptedModel(Script(replies)) as model,
        serving(
            tmp_path / "data", "--backend", "local", "--allow-file", "--base-url", model.base_url,
            AIDEATOR_API_KEY="key",
        ) as gateway,
    ):  # fmt: skip
        need_bubblewrap(gateway)
        run_id = gateway.create(
            github_url=shared_repository.as_uri(),
            variations=2,
            check="while [ ! -e ../home/go ]; do sleep 0.1; done; echo all is well",
        )
        tab = visit(gateway.url, f"/#/runs/{run_id}/live")
        page = tab.page
        first = page.get_by_role("region", name="Attempt 1")
        expect(first).to_contain_text("its check is running")
        page.get_by_role("link", name="Results").click()
        cards = page.get_by_role("list", name="Attempts").get_by_role("listitem")
        expect(cards.nth(0)).to_contain_text("Check is running")
        expect(cards.nth(1)).to_contain_text("Check follows")
        (gateway.data_dir / "work" / run_id / "check1" / "home" / "go").touch()
        # The other attempt is still at work, so it is not the run's end that tells.
        expect(cards.nth(0)).to_contain_text("Check passed in")
        expect(cards.nth(1)).to_contain_text("running")
        cards.nth(0).get_by_text("Check passed in").click()
        expect(cards.nth(0)).to_contain_text("all is well")

        page.get_by_role("button", name="Cancel run").click()
        expect(cards.nth(1)).to_contain_text("Check cancelled with the run")
        expect(cards.nth(0)).to_contain_text("Check passed in")
        page.get_by_role("link", name="Transcripts").click()
        expect(first.get_by_role("log")).to_contain_text("Check passed in")
        expect(page.get_by_role("log").nth(1)).to_contain_text("Check cancelled with the run")
        tab.clean()
