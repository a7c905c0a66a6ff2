"""No serious finding of axe in any view, in both themes, and nothing wider than a phone."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.page.conftest import Open
from tests.support.gateways import Gateway

pytestmark = pytest.mark.browser

AXE = Path(__file__).parents[2] / "gateway/page/node_modules/axe-core/axe.min.js"

RULES = """axe.run(document, {resultTypes: ["violations"]}).then((result) =>
  result.violations
    .filter((found) => ["serious", "critical"].includes(found.impact))
    .map((found) => `${found.id}: ${found.nodes.map((node) => node.html).join(" | ")}`))
"""


@pytest.fixture(scope="module")
def finished(demo_gateway: Gateway, shared_repository: Path) -> str:
    run_id = demo_gateway.create(
        github_url=shared_repository.as_uri(),
        prompt="Improve it.\n\nIn more than one line.",
        conditions=[{"style": "smallest"}, {"label": "careful"}, {}],
    )
    demo_gateway.finish(run_id)
    choice = {"winning_variation_id": 2, "reason": "Clear."}
    assert demo_gateway.http.post(f"/runs/{run_id}/select", json=choice).status_code == 200
    return run_id


def views(page: Page, url: str, run_id: str) -> list[str]:
    """Show one view after the other; return what axe finds in them."""
    findings: list[str] = []

    def show(path: str, selector: str, key: str | None = None) -> None:
        page.goto(f"{url}/{path}")
        expect(page.locator(selector).first).to_be_visible()
        if key:
            page.keyboard.press(key)
            expect(page.get_by_role("dialog")).to_be_visible()
        page.evaluate(AXE.read_text())
        findings.extend(f"{path} {found}" for found in page.evaluate(RULES))
        width = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        if width > 0:
            findings.append(f"{path} is {width} px too wide")
        if key:
            page.keyboard.press("Escape")

    show("#/", ".run-row")
    show("#/", ".run-row", key="?")
    show("#/new", ".condition")
    show(f"#/runs/{run_id}", ".line")
    show(f"#/runs/{run_id}", ".line", key="s")
    show(f"#/runs/{run_id}/results/1/against/3", ".pair")
    show(f"#/runs/{run_id}/replay", ".transcript-row")
    show("#/runs/none", "[role=alert]")
    return findings


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_view_can_be_read_by_everybody(
    visit: Open, demo_gateway: Gateway, finished: str, theme: str, width: int
) -> None:
    tab = visit(
        demo_gateway.url,
        color_scheme=theme,
        viewport={"width": width, "height": 740},
        reduced_motion="reduce",
    )
    assert views(tab.page, demo_gateway.url, finished) == []
    tab.clean()
