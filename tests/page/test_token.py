"""A server with a token: the page asks for it once, and it is nowhere but in the header."""

import secrets
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.page.conftest import Open
from tests.support.gateways import serving

pytestmark = pytest.mark.browser

TOKEN = secrets.token_hex(16)


def test_the_page_asks_for_the_token_and_keeps_it_in_the_tab(
    visit: Open, shared_repository: Path, tmp_path: Path
) -> None:
    flags = ("--demo", "--backend", "local", "--allow-file", "--demo-tokens-per-second", "1000")
    with serving(tmp_path / "data", *flags, token=TOKEN) as gateway:
        run_id = gateway.create(github_url=shared_repository.as_uri(), variations=1)
        tab = visit(gateway.url, f"/#/runs/{run_id}")
        page = tab.page
        page.get_by_label("Token").fill("wrong")
        page.get_by_role("button", name="Go on").click()
        alert = page.get_by_role("alert").filter(has_text="did not take that token")
        expect(alert).to_be_visible()
        # Who types it again need not look for the field.
        expect(page.get_by_label("Token")).to_be_focused()
        page.get_by_label("Token").fill(TOKEN)
        page.get_by_role("button", name="Go on").click()
        # The stream and the patch carry it as well.
        expect(page.get_by_role("region", name="Patch of attempt 1")).to_be_visible()
        page.get_by_role("link", name="Transcripts").click()
        expect(page.get_by_role("log")).to_contain_text("Finished.")
        page.reload()
        expect(page.get_by_role("log")).to_contain_text("Finished.")
        assert not [url for url in tab.requests if TOKEN in url]
        assert page.evaluate("JSON.stringify(localStorage) + document.cookie").count(TOKEN) == 0
        # Another tab does not have it.
        other = visit(gateway.url)
        expect(other.page.get_by_label("Token")).to_be_visible()
        tab.clean()
        other.clean()
