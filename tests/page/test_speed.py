"""However much comes, the page stays responsive: no task over 100 ms in the browser's own trace.

Time on the processor is measured, not on the wall: a loaded machine is not the page's fault.
"""

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from aideator_gateway.scripted_model.script import Text
from aideator_gateway.scripted_model.server import Script, ScriptedModel
from tests.page.conftest import Open, Visit
from tests.support.gateways import Gateway, serving

pytestmark = pytest.mark.browser

LONGEST_MS = 100

MARKDOWN = """\
## Step {n}

I read `module_{n}.py` and found **two** things: a *shared* default, and a name that says nothing.

- The first is on line {n}, where a list is made once for all callers.
- The second would be `count_{n}`, as elsewhere.

```python
def count_{n}(items=()):
    return sum(1 for item in items if item is not None)
```

"""


def longest_task(chromium: Browser, page: Page, work: Callable[[], None]) -> float:
    """Return the longest task of the page's main thread while ``work`` is done, in ms."""
    chromium.start_tracing(page=page, categories=["toplevel", "devtools.timeline", "__metadata"])
    work()
    events = json.loads(chromium.stop_tracing())["traceEvents"]
    threads = {
        (event["pid"], event["tid"])
        for event in events
        if event.get("name") == "thread_name" and event["args"]["name"] == "CrRendererMain"
    }
    tasks = [
        event.get("tdur", event["dur"]) / 1000
        for event in events
        if event["name"] == "RunTask" or event["name"] == "ThreadControllerImpl::RunTask"
        if event.get("ph") == "X" and (event["pid"], event["tid"]) in threads
    ]
    assert tasks
    return float(max(tasks))


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

        longest = longest_task(chromium, tab.page, watch)
        print(f"longest task while five attempts stream: {longest:.0f} ms")  # noqa: T201
        assert longest < LONGEST_MS
        tab.clean()


@pytest.fixture
def finished(visit: Open, demo_gateway: Gateway, shared_repository: Path) -> tuple[Visit, str]:
    run_id = demo_gateway.create(github_url=shared_repository.as_uri(), variations=2)
    demo_gateway.finish(run_id)
    return visit(demo_gateway.url), f"{demo_gateway.url}/#/runs/{run_id}"


def test_a_patch_of_ten_thousand_lines_opens(
    chromium: Browser, finished: tuple[Visit, str]
) -> None:
    tab, url = finished
    hunks = "".join(
        f"@@ -{n * 10 + 1},4 +{n * 10 + 1},5 @@ def function_{n}():\n     first = {n}\n"
        f"-    second = first + {n}\n+    second = first * {n}\n+    third = second - {n}\n"
        f"     fourth = {n}\n     return fourth\n"
        for n in range(1700)
    )
    patch = (
        f"diff --git a/long.py b/long.py\nindex 1..2 100644\n--- a/long.py\n+++ b/long.py\n{hunks}"
    )
    assert patch.count("\n") > 10_000
    tab.page.route("**/patch", lambda route: route.fulfill(body=patch))
    diff = tab.page.get_by_role("region", name="Patch of attempt 1")

    def read() -> None:
        tab.page.goto(url)
        expect(diff).to_contain_text("second = first * 0")
        for _ in range(5):
            tab.page.mouse.wheel(0, 4000)
        tab.page.keyboard.press("End")
        expect(diff).to_contain_text("second = first * 1699")
        tab.page.keyboard.press("c")
        expect(tab.page.get_by_role("region", name="Attempt 1 against attempt 2")).to_be_visible()

    longest = longest_task(chromium, tab.page, read)
    print(f"longest task with a patch of 10,000 lines: {longest:.0f} ms")  # noqa: T201
    assert longest < LONGEST_MS
    tab.clean()


def test_a_transcript_of_ten_megabytes_opens(
    chromium: Browser, finished: tuple[Visit, str]
) -> None:
    tab, url = finished
    ids = itertools.count(1)

    def event(name: str, **data: object) -> str:
        return f"id: {next(ids)}\nevent: {name}\ndata: {json.dumps(data)}\n\n"

    common = {"variation_id": 1, "attempt": 1}
    parts = [
        event(
            "message", **common, type="agent_output", content=piece, turn=n // 50 + 1, time=1e9 + n
        )
        for n in range(6000)
        for piece in (MARKDOWN.format(n=n)[:200], MARKDOWN.format(n=n)[200:])
    ]
    long = [
        event("message", **common, type="agent_output", content="z" * 250_000, turn=200, time=2e9)
        for _ in range(28)
    ]
    body = "".join([*parts, *long, event("end", status="completed")])
    assert len(body) > 10_000_000
    headers = {"Content-Type": "text/event-stream"}
    tab.page.route("**/stream", lambda route: route.fulfill(body=body, headers=headers))
    log = tab.page.get_by_role("log").first

    def read() -> None:
        tab.page.goto(f"{url}/replay")
        expect(tab.page.get_by_label("Moment of the run")).to_be_enabled()
        expect(log).to_contain_text("zzzz")
        log.evaluate("element => element.scrollTo(0, 0)")
        expect(log).to_contain_text("Step 0")

    longest = longest_task(chromium, tab.page, read)
    print(f"longest task with a transcript of 10 MB: {longest:.0f} ms")  # noqa: T201
    assert longest < LONGEST_MS
    assert tab.page.evaluate("document.querySelectorAll('*').length") < 3000
    tab.clean()
