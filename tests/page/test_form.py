"""The form offers what the server says it has: styles, model servers, checks."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from aideator_gateway.scripted_model.script import Text
from aideator_gateway.scripted_model.server import Script, ScriptedModel
from tests.page.conftest import Open
from tests.support.forked import serving

pytestmark = pytest.mark.browser


def test_styles_and_model_servers_are_offered_by_name(
    visit: Open, shared_repository: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    (data / "styles").mkdir(parents=True)
    (data / "styles" / "haiku.md").write_text("In verse.")
    said = Script(default=[[Text("Done.")]])
    with ScriptedModel(said) as own, ScriptedModel(said) as other:
        (data / "config.toml").write_text(
            f'[providers.house]\nbase_url = "{other.base_url}"\napi_key_env = "HOUSE_KEY"\n'
            f'[providers.away]\nbase_url = "{other.base_url}"\napi_key_env = "AWAY_KEY"\n'
        )
        with serving(
            data, "--backend", "local", "--allow-file", "--base-url", own.base_url,
            "--model", "claude-none", AIDEATOR_API_KEY="key", HOUSE_KEY="house",
        ) as gateway:  # fmt: skip
            tab = visit(gateway.url, "/#/new")
            page = tab.page
            page.get_by_label("Repository (required)").fill(shared_repository.as_uri())
            page.get_by_label("Prompt (required)").fill("Do it.")
            page.get_by_role("button", name="2", exact=True).click()
            first = page.get_by_role("region", name="Attempt 1")
            style, provider = (
                first.get_by_label("Style", exact=True),
                first.get_by_label("Provider"),
            )
            offered = style.get_by_role("option").all_inner_texts()
            assert offered == ["none", "haiku", "smallest", "test-first", "thorough"]
            offered = provider.get_by_role("option").all_inner_texts()
            assert offered == ["default", "house", "away (cannot be asked)"]
            expect(first.get_by_label("Model")).to_have_attribute("placeholder", "claude-none")

            provider.select_option("away")
            expect(first).to_contain_text("It cannot be asked: the environment variable AWAY_KEY")
            provider.select_option("house")
            expect(first).not_to_contain_text("AWAY_KEY")
            style.select_option("haiku")
            page.get_by_role("button", name="Start 2 attempts").click()
            cards = page.get_by_role("list", name="Attempts").get_by_role("listitem")
            expect(cards.first).to_contain_text("haiku \u00b7 house")
            run_id = page.url.split("/runs/")[1].split("/")[0]
            conditions = [one["condition"] for one in gateway.run(run_id)["variations"]]
            assert (conditions[0]["style_text"], conditions[0]["provider"]) == (
                "In verse.",
                "house",
            )
            assert conditions[1]["provider"] is None
            assert {request.variation for request in other.requests} == {1}
            tab.clean()


def test_where_no_checks_are_run_the_form_says_so(visit: Open, tmp_path: Path) -> None:
    flags = ("--demo", "--backend", "local")
    # Without bubblewrap on PATH there is none to run a check in.
    with serving(tmp_path / "data", *flags, PATH="/nonexistent") as gateway:
        tab = visit(gateway.url, "/#/new")
        expect(tab.page.get_by_text("This server runs no checks now")).to_be_visible()
        expect(tab.page.get_by_label("Check", exact=True)).to_be_visible()
        tab.clean()


def test_what_is_refused_as_a_whole_is_said_where_it_is_seen(visit: Open, tmp_path: Path) -> None:
    with serving(tmp_path / "data", "--demo", "--backend", "local") as gateway:
        tab = visit(gateway.url, "/#/new", viewport={"width": 360, "height": 740})
        page = tab.page
        page.get_by_label("Repository (required)").fill("https://github.com/user/repo")
        prompt = page.get_by_label("Prompt (required)")
        prompt.fill("Do it.")
        gateway.stop()
        repository = page.get_by_label("Repository (required)")
        alert = page.get_by_role("alert").filter(has_text="The server does not answer")
        for element in (page.get_by_role("button", name="Start 3 attempts"), repository):
            element.press("Enter")
            expect(alert).to_be_in_viewport(ratio=0.99)
            # What was filled in is there for the next time.
            expect(prompt).to_have_value("Do it.")
