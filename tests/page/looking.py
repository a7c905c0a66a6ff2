"""Looks at views one after the other, for what not everybody could read."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

AXE = Path(__file__).parents[2] / "gateway/page/node_modules/axe-core/axe.min.js"

RULES = """axe.run(document, {resultTypes: ["violations"]}).then((result) =>
  result.violations
    .filter((found) => ["serious", "critical"].includes(found.impact))
    .map((found) => `${found.id}: ${found.nodes.map((node) => node.html).join(" | ")}`))
"""

SIZES = {360: 740, 1280: 800, 3840: 2160}

_ALWAYS = (("light", 360), ("dark", 1280), ("light", 3840))

THEMES_AND_WIDTHS = pytest.mark.parametrize(
    ("theme", "width"),
    [
        pytest.param(theme, width, marks=() if (theme, width) in _ALWAYS else pytest.mark.soak)
        for theme in ("light", "dark")
        for width in SIZES
    ],
)
"""Both themes and all widths; each with each, which takes minutes, in ``make test-browser``."""

Act = Callable[[Page], object]


class Looking:
    """Shows one view after the other, and keeps what axe finds in them."""

    def __init__(self, page: Page, url: str) -> None:
        self.findings: list[str] = []
        self._page = page
        self._url = url

    def show(self, path: str, selector: str, act: Act | None = None, then: str = "") -> None:
        page = self._page
        page.goto(f"{self._url}/{path}")
        expect(page.locator(selector).first).to_be_visible()
        if act:
            act(page)
        if then:
            expect(page.locator(then).first).to_be_visible()
        page.evaluate(AXE.read_text())
        name = f"{path} {then}"
        self.findings.extend(f"{name}: {found}" for found in page.evaluate(RULES))
        # A dialog has a scroll bar of its own.
        boxes = "[document.documentElement, ...document.querySelectorAll('dialog')]"
        width = page.evaluate(f"Math.max(...{boxes}.map(e => e.scrollWidth - e.clientWidth))")
        if width > 0:
            self.findings.append(f"{name} is {width} px too wide")
        if act:
            page.keyboard.press("Escape")
