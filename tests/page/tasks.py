"""Tasks of a page's main thread, from the browser's own trace.

Time on the processor is measured, not on the wall: a loaded machine is not the page's fault.
"""

import json
from collections.abc import Callable

from playwright.sync_api import Browser, Page

LONGEST_MS = 100

MOST_ELEMENTS = 3000

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
    try:
        work()
    finally:
        trace = chromium.stop_tracing()
    events = json.loads(trace)["traceEvents"]
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


def assert_responsive(chromium: Browser, page: Page, what: str, work: Callable[[], None]) -> None:
    """Assert that no task takes long while ``work`` is done, and print the longest."""
    longest = longest_task(chromium, page, work)
    print(f"longest task {what}: {longest:.0f} ms")  # noqa: T201
    assert longest < LONGEST_MS
    # Far fewer than there are lines: what cannot be seen is not in the page.
    assert page.evaluate("document.querySelectorAll('*').length") < MOST_ELEMENTS
