"""However much comes, the page stays responsive: no task over 100 ms in the browser's own trace.

Time on the processor is measured, not on the wall: a loaded machine is not the page's fault.
"""

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from aideator_gateway.scripted_model.script import Text
from aideator_gateway.scripted_model.server import Script, ScriptedModel
from tests.page.conftest import Open
from tests.page.tasks import MARKDOWN, assert_responsive
from tests.support.forked import serving

pytestmark = pytest.mark.browser


def test_five_attempts_at_two_hundred_tokens_a_second(
    chromium: Browser, visit: Open, shared_repository: Path, tmp_path: Path
) -> None:
    text = "".join(MARKDOWN.format(n=n) for n in range(25))
    replies = [[Text(text, pace=1 / 200)]]
    player = Script(dict.fromkeys(range(1, 6), replies))
    with (
        ScriptedModel(player) as model,
        serving(
            tmp_path / "data", "--backend", "local", "--allow-file", "--base-url", model.base_url,
            AIDEATOR_API_KEY="key",
        ) as gateway,
    ):  # fmt: skip
        tab = visit(gateway.url)
        run_id = gateway.create(github_url=shared_repository.as_uri(), variations=5)

        def watch() -> None:
            tab.page.goto(f"{gateway.url}/#/runs/{run_id}/live")
            tab.page.get_by_role("link", name="Results", exact=True).wait_for(timeout=60_000)

        assert_responsive(chromium, tab.page, "while five attempts stream", watch)
        tab.clean()
