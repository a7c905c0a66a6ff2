"""What models and repositories say is shown, and does nothing."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from aideator_gateway.scripted_model.script import Reply, Text, Thinking, ToolUse
from aideator_gateway.scripted_model.server import Script, ScriptedModel
from tests.page.conftest import Open
from tests.support.forked import serving
from tests.support.gateways import Gateway

pytestmark = pytest.mark.browser

EVIL = """\
# Title <script>window.ran = "script"</script>

<img src=x onerror="window.ran = 'onerror'"> <svg onload="window.ran = 'svg'"><a href="https://example.com/">x</a></svg>
<iframe src="https://example.com/frame"></iframe> <style>body { display: none }</style>

[a link](javascript:window.ran='link') and ![an image](https://example.com/pixel.png) and
<https://example.com/auto> and https://example.com/bare and
[data](data:text/html,<script>1</script>)

Colours \x1b[31mred\x1b[0m, a bell \x07, turned \u202eredro\u202c, hidden \u200b\u2066here\u2069.

| a | b |
| - | - |
| <b onclick="window.ran = 1">x</b> | `</code><script>window.ran = 2</script>` |

```html
</code></pre><script>window.ran = "fence"</script>
```
"""
NAME = "evil<img src=x onerror=window.ran=3>.html"


def test_hostile_text_is_shown_and_inert(
    visit: Open, shared_repository: Path, tmp_path: Path
) -> None:
    create = {"command": "create", "path": NAME, "file_text": f"{EVIL}{'x' * 1_000_000}\n"}
    replies: list[Reply] = [
        [Thinking(EVIL), Text(EVIL), ToolUse("str_replace_based_edit_tool", create)],
        [Text(["y" * 200_000] * 5), Text(EVIL)],
    ]
    with (
        ScriptedModel(Script({1: replies})) as model,
        serving(
            tmp_path / "data", "--backend", "local", "--allow-file", "--base-url", model.base_url,
            AIDEATOR_API_KEY="key",
        ) as gateway,
    ):  # fmt: skip
        label = "<script>window.ran = 4</script>\u202e"
        run_id = gateway.create(
            github_url=shared_repository.as_uri(), prompt=EVIL, conditions=[{"label": label}]
        )
        gateway.finish(run_id)
        tab = visit(gateway.url)
        page = tab.page
        expect(page.get_by_role("list", name="Runs")).to_contain_text("<script>")
        page.get_by_role("link", name=re.compile("Title")).click()

        diff = page.get_by_role("region", name="Patch of attempt 1")
        expect(diff).to_contain_text(NAME)
        expect(diff).to_contain_text("<iframe src=")
        expect(diff).to_contain_text("\u241b[31mred")
        expect(diff).to_contain_text("\u27e8U+202E\u27e9redro")
        expect(diff).to_contain_text("more characters")

        page.get_by_role("link", name="Transcripts").click()
        log = page.get_by_role("log")
        expect(log).to_contain_text("javascript:window.ran='link'")
        expect(log).to_contain_text("[image \u201can image\u201d: https://example.com/pixel.png]")
        expect(log).to_contain_text("\u27e8U+2066\u27e9here")
        log.evaluate("element => element.scrollTo(0, 0)")
        expect(log).to_contain_text("Thinking")

        shown = page.content()
        assert not re.search("[\x1b\x07\u202e\u2066\u200b]", shown)
        # Nothing that leads anywhere was made of it, in any view.
        page.get_by_role("link", name="Results").click()
        expect(diff).to_be_visible()
        outward = "[...document.querySelectorAll('main :is(a, img, iframe, svg, script, style)')]"
        hrefs = page.evaluate(f"{outward}.map(e => e.getAttribute('href') ?? e.tagName)")
        assert [href for href in hrefs if not href.startswith("#/")] == []
        assert page.evaluate("window.ran") is None
        tab.clean()


def test_the_policy_itself_stops_what_would_run(visit: Open, demo_gateway: Gateway) -> None:
    """The fence behind the fence: it holds though the page would not."""
    tab = visit(demo_gateway.url)
    stopped = tab.page.evaluate(
        """async () => {
          const refused = [];
          try { document.body.innerHTML = "<img src=x onerror='window.ran=1'>"; }
          catch { refused.push("innerHTML"); }
          await fetch("https://example.com/").catch(() => refused.push("fetch"));
          const script = document.createElement("script");
          try { script.text = "window.ran = 2"; document.head.append(script); }
          catch { refused.push("script"); }
          return [refused, window.ran ?? null];
        }"""
    )
    assert stopped == [["innerHTML", "fetch", "script"], None]
    assert len(tab.page.evaluate("violations")) >= 3
