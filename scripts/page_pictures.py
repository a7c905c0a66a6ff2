"""Take the pictures of the page in docs/images: real runs of a scripted model in a real browser.

Usage: python scripts/page_pictures.py

Needs a Chromium on PATH and the built page (make page). The runs work on a small repository
that is made for them, and cost nothing; the model's name says that it is a stand-in.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from playwright.sync_api import Page, ViewportSize, expect, sync_playwright

from aideator_gateway.scripted_model.script import Reply, Text, Thinking, ToolUse
from aideator_gateway.scripted_model.server import Script, ScriptedModel

IMAGES = Path(__file__).parent.parent / "docs" / "images"
AIDEATOR = Path(sys.executable).with_name("aideator")
SECONDS = 60.0
MOST_BYTES = 300_000
PROMPT = "Let the greeting be chosen, and greet several people at once."

GREET = """\
\"\"\"A small program that greets.\"\"\"

import sys


def greet(name):
    return "Hello, " + name


def main():
    print(greet(sys.argv[1]))


if __name__ == "__main__":
    main()
"""
TEST = 'from greet import greet\n\n\ndef test_greet():\n    assert greet("Ada") == "Hello, Ada"\n'
README = "# Greeter\n\nA small program that greets.\n\n    python greet.py NAME\n"


def _replace(path: str, old: str, new: str) -> ToolUse:
    call = {"command": "str_replace", "path": path, "old_str": old, "new_str": new}
    return ToolUse("str_replace_based_edit_tool", call)


def _attempt(plan: str, edits: list[ToolUse], end: str, pace: float) -> list[Reply]:
    view = ToolUse("str_replace_based_edit_tool", {"command": "view", "path": "greet.py"})
    return [
        [
            Thinking(f"The task: {PROMPT} {plan}", pace=pace),
            Text("I read the program first.", pace=pace),
            view,
        ],
        [Text(plan, pace=pace), *edits],
        [Text(end, pace=pace)],
    ]  # fmt: skip


_OLD = 'def greet(name):\n    return "Hello, " + name'
_MAIN = "    print(greet(sys.argv[1]))"
_LOOP = "    for name in sys.argv[1:]:\n        print(greet(name))"


def _variations(pace: float) -> dict[int, list[Reply]]:
    """Return three ways to do it: the smallest, one with options, one with a test first."""
    keyword = 'def greet(name, greeting="Hello"):\n    return f"{greeting}, {name}"'
    options = (
        "    parser = argparse.ArgumentParser(description=__doc__)\n"
        '    parser.add_argument("names", nargs="+", metavar="NAME")\n'
        '    parser.add_argument("--greeting", default="Hello")\n'
        "    options = parser.parse_args()\n"
        "    for name in options.names:\n"
        "        print(greet(name, options.greeting))"
    )
    test = '\n\ndef test_another_greeting():\n    assert greet("Ada", "Ahoy") == "Ahoy, Ada"\n'
    append = {"command": "insert", "path": "test_greet.py", "insert_line": 5, "insert_text": test}
    return {
        1: _attempt(
            "The smallest change that does it: a *keyword* with the old greeting as its default, "
            "and a loop over the arguments.",
            [_replace("greet.py", _OLD, keyword), _replace("greet.py", _MAIN, _LOOP)],
            "`greet` takes a greeting, and `main` greets everybody. **Nothing else changed.**",
            pace,
        ),
        2: _attempt(
            "1. `argparse` reads the names and `--greeting`.\n2. The README says how.",
            [
                _replace("greet.py", _OLD, keyword),
                _replace("greet.py", "import sys", "import argparse"),
                _replace("greet.py", _MAIN, options),
                _replace("README.md", "greet.py NAME", "greet.py [--greeting WORD] NAME …"),
            ],
            "The program has a `--greeting` option, takes several names, and says so in its help "
            "and in the README.",
            pace,
        ),
        3: _attempt(
            "A test for another greeting first, then the code that makes it pass.",
            [
                ToolUse("str_replace_based_edit_tool", append),
                _replace("greet.py", _OLD, keyword),
                _replace("greet.py", _MAIN, _LOOP),
            ],
            "There is a test for another greeting, and the code passes it.",
            pace,
        ),
    }


@contextmanager
def _serving(work: Path, pace: float) -> Iterator[tuple[httpx.Client, str]]:
    """Serve on a free port, with a stand-in for a model that types this fast."""
    data = work / f"data-{pace}"
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("AIDEATOR_")
    }
    with ScriptedModel(Script(_variations(pace))) as model:
        words = [
            str(AIDEATOR), "serve", "--port", "0", "--data-dir", str(data), "--backend", "local",
            "--allow-file", "--base-url", model.base_url, "--model", "scripted-stand-in",
        ]  # fmt: skip
        server = subprocess.Popen(
            words,
            env={**environment, "AIDEATOR_API_KEY": "none"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            deadline = time.monotonic() + SECONDS
            while not (data / "server.json").exists():
                if time.monotonic() > deadline or server.poll() is not None:
                    raise SystemExit("The gateway did not start.")
                time.sleep(0.05)
            url = json.loads((data / "server.json").read_text())["url"]
            with httpx.Client(base_url=url, timeout=SECONDS, trust_env=False) as http:
                yield http, url
        finally:
            server.terminate()
            server.wait(SECONDS)


def _repository(path: Path) -> Path:
    path.mkdir()
    for name, text in (("greet.py", GREET), ("test_greet.py", TEST), ("README.md", README)):
        (path / name).write_text(text)
    identity = ["-c", "user.name=Example", "-c", "user.email=example@example.com"]
    for words in (["init", "-q"], ["add", "--all"], [*identity, "commit", "-q", "-m", "First"]):
        subprocess.run(["git", "-C", str(path), *words], check=True)
    return path


def _start(http: httpx.Client, repository: Path) -> str:
    styles = [{"style": "smallest"}, {"style": "thorough"}, {"style": "test-first"}]
    body = {"github_url": repository.as_uri(), "prompt": PROMPT, "conditions": styles}
    return str(http.post("/runs", json=body).raise_for_status().json()["run_id"])


def _shoot(page: Page, name: str) -> None:
    # What has the focus, or is being typed, would make each picture another one.
    page.evaluate("document.activeElement.blur()")
    path = IMAGES / f"{name}.png"
    page.screenshot(path=str(path), animations="disabled")
    if path.stat().st_size > MOST_BYTES:
        raise SystemExit(f"{path.name} is larger than {MOST_BYTES} bytes.")


def main() -> None:
    """Take the pictures."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise SystemExit("There is no Chromium on PATH.")
    with tempfile.TemporaryDirectory() as work, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium)
        size: ViewportSize = {"width": 1280, "height": 800}
        light = browser.new_page(viewport=size, color_scheme="light")
        dark = browser.new_page(viewport=size, color_scheme="dark")
        repository = _repository(Path(work) / "greeter")
        with _serving(Path(work), 0.05) as (http, url):
            run_id = _start(http, repository)
            dark.goto(f"{url}/#/runs/{run_id}/live")
            expect(dark.get_by_text("Turn 3").first).to_be_visible(timeout=30_000)
            _shoot(dark, "page-live")
        with _serving(Path(work), 0.0) as (http, url):
            run_id = _start(http, repository)
            deadline = time.monotonic() + SECONDS
            while http.get(f"/runs/{run_id}").json()["status"] in ("pending", "running"):
                if time.monotonic() > deadline:
                    raise SystemExit("The run did not end.")
                time.sleep(0.1)
            choice = {"winning_variation_id": 2, "reason": "Says how to use it."}
            http.post(f"/runs/{run_id}/select", json=choice).raise_for_status()
            light.goto(f"{url}/#/runs/{run_id}/results/1/against/2")
            expect(light.locator(".pair mark, .pair .hljs-keyword").first).to_be_visible()
            light.mouse.wheel(0, 300)
            light.wait_for_function("() => scrollY > 100")
            _shoot(light, "page-compare")
        browser.close()


if __name__ == "__main__":
    main()
