"""A real Chromium before the real gateway; skipped, with what is missing, where it cannot be."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect, sync_playwright

from aideator_gateway.http.client_page import BUILT

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)

expect.set_options(timeout=30_000)

_VIOLATIONS = """
window.violations = [];
addEventListener("securitypolicyviolation", (event) =>
  violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
"""


def missing() -> str | None:
    """Say what keeps a browser from showing the page."""
    if CHROMIUM is None:
        return "no Chromium on PATH"
    if not (BUILT / "index.html").is_file():
        return "the page is not built (make page)"
    return None


@dataclass
class Visit:
    """One tab, and what must not happen in it."""

    page: Page
    origin: str
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def clean(self) -> None:
        """Assert that nothing ran, loaded or was reached that must not be."""
        assert self.page.evaluate("violations") == []
        assert self.complaints == []
        own = (f"{self.origin}/", "blob:", "about:")
        assert [url for url in self.requests if not url.startswith(own)] == []


# Not longer: while it is open, an event loop runs in this thread, which other tests need.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    reason = missing()
    if reason and os.environ.get("AIDEATOR_REQUIRE_BROWSER"):
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        yield browser
        browser.close()


Open = Callable[..., Visit]


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Open]:
    """Open tabs, each in a profile of its own.

    ``routes`` says who answers what in place of the gateway. They are there before the page is:
    for a moment, a page that is open already goes on without those that come later.
    """
    contexts: list[BrowserContext] = []

    def start(
        origin: str,
        path: str = "/",
        routes: Mapping[str, Callable[[Route], None]] | None = None,
        **options: Any,
    ) -> Visit:
        context = chromium.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
        context.set_default_timeout(30_000)
        context.add_init_script(_VIOLATIONS)
        contexts.append(context)
        opened = Visit(context.new_page(), origin)
        opened.page.on("request", lambda request: opened.requests.append(request.url))
        opened.page.on("pageerror", lambda error: opened.complaints.append(str(error)))
        for pattern, answer in (routes or {}).items():
            opened.page.route(pattern, answer)
        opened.page.goto(f"{origin}{path}")
        return opened

    yield start
    for context in contexts:
        context.close()
