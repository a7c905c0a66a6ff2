"""Looks at views one after the other, for what not everybody could read."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Page, expect

AXE = Path(__file__).parents[2] / "gateway/page/node_modules/axe-core/axe.min.js"

RULES = """axe.run(document, {resultTypes: ["violations"]}).then((result) =>
  result.violations
    .filter((found) => ["serious", "critical"].includes(found.impact))
    .map((found) => `${found.id}: ${found.nodes.map((node) => node.html).join(" | ")}`))
"""

SIZES = {360: 740, 1280: 800, 3840: 2160}

Appearance = tuple[Literal["light", "dark"], int]

Appearances = tuple[Appearance, ...]

_ALWAYS: Appearances = (("light", 360), ("dark", 1280), ("light", 3840))
_THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
EACH_WITH_EACH: Appearances = tuple((theme, width) for theme in _THEMES for width in SIZES)

APPEARANCES = pytest.mark.parametrize(
    "appearances",
    [
        pytest.param(_ALWAYS, id="in turn"),
        *(
            pytest.param(((theme, width),), id=f"{theme}-{width}", marks=pytest.mark.soak)
            for theme, width in EACH_WITH_EACH
        ),
    ],
)
"""Both themes and all widths, each view in turn in a window that is drawn wider.

Each with each, in a window that was opened so, takes minutes: in ``make test-browser``.
"""

Act = Callable[[Page], object]

_SETTLED = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


def opened_as(appearances: Appearances) -> dict[str, Any]:
    """Return the options of a tab that begins with the first of them."""
    theme, width = appearances[0]
    size = {"width": width, "height": SIZES[width]}
    return {"color_scheme": theme, "viewport": size, "reduced_motion": "reduce"}


class Looking:
    """Shows one view after the other, and keeps what axe finds in them."""

    def __init__(self, page: Page, url: str, appearances: Appearances) -> None:
        self.findings: list[str] = []
        self._page = page
        self._url = url
        self._appearances = appearances

    def show(self, path: str, selector: str, act: Act | None = None, then: str = "") -> None:
        """Go to a view, do something there, and look at it in each appearance."""
        page = self._page
        self.appear(self._appearances[0])
        page.goto(f"{self._url}/{path}")
        expect(page.locator(selector).first).to_be_visible()
        if act:
            act(page)
        self.look(f"{path} {then}", then if act else selector)
        if act:
            page.keyboard.press("Escape")

    def look(self, name: str, selector: str = "") -> None:
        """Look at what is shown in each appearance; something of it is to be there in all."""
        page = self._page
        page.evaluate(f"window.axe === undefined && (() => {{ {AXE.read_text()} }})()")
        for theme, width in self._appearances:
            self.appear((theme, width))
            if selector:
                expect(page.locator(selector).first).to_be_visible()
            named = f"{name} ({theme}, {width})"
            self.findings.extend(f"{named}: {found}" for found in page.evaluate(RULES))
            # A dialog has a scroll bar of its own.
            boxes = "[document.documentElement, ...document.querySelectorAll('dialog')]"
            more = page.evaluate(f"Math.max(...{boxes}.map(e => e.scrollWidth - e.clientWidth))")
            if more > 0:
                self.findings.append(f"{named} is {more} px too wide")

    def appear(self, appearance: Appearance) -> None:
        """Give the window a theme and a width, and wait until it is drawn so."""
        theme, width = appearance
        self._page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        self._page.set_viewport_size({"width": width, "height": SIZES[width]})
        self._page.evaluate(_SETTLED)
