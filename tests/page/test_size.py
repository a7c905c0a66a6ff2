"""What a visit loads, as it goes over the wire."""

from pathlib import Path

import pytest
from playwright.sync_api import Response, expect

from tests.page.conftest import Open
from tests.support.gateways import Gateway

pytestmark = pytest.mark.browser

FIRST_KB = 25
"""Most that the list of runs may load on a first visit, in kB; it was 21 when this was written."""

ALL_KB = 110
"""Most that all views may load together; the promise is 250."""


def test_what_a_first_visit_loads_is_small(
    visit: Open, demo_gateway: Gateway, shared_repository: Path
) -> None:
    run_id = demo_gateway.create(github_url=shared_repository.as_uri(), variations=2)
    demo_gateway.finish(run_id)
    tab = visit("about:", "blank")
    page = tab.page
    loaded: list[Response] = []
    page.on("response", lambda response: loaded.append(response))  # noqa: PLW0108

    def kilobytes() -> float:
        """Of the page's own files; what the API answers is as large as what there is to show."""
        page.wait_for_load_state("networkidle")
        files = [r for r in loaded if r.url.endswith("/") or "/page/" in r.url]
        assert files
        return sum(r.request.sizes()["responseBodySize"] for r in files) / 1000

    page.goto(demo_gateway.url)
    expect(page.locator(".run-row").first).to_be_visible()
    first = kilobytes()
    for path, selector in (
        (f"#/runs/{run_id}/results/1/against/2", ".pair .hljs-keyword, .pair .hljs-built_in"),
        (f"#/runs/{run_id}/replay", ".transcript-row"),
        ("#/new", ".condition"),
    ):
        page.goto(f"{demo_gateway.url}/{path}")
        expect(page.locator(selector).first).to_be_visible()
    everything = kilobytes()
    print(f"the first visit loads {first:.1f} kB, all views {everything:.1f} kB")  # noqa: T201
    assert 0 < first < FIRST_KB
    assert first < everything < ALL_KB
