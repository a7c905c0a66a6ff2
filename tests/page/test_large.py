"""Large results of real runs open without freezing: many files, long patches, long transcripts.

The agents are real; only their model is a script. So everything that the page reads is what the
gateway made of it.
"""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from aideator_gateway.scripted_model.player import Request
from aideator_gateway.scripted_model.script import Reply, Text, ToolUse
from aideator_gateway.scripted_model.server import ScriptedModel
from tests.page.conftest import Open
from tests.page.tasks import MARKDOWN, assert_responsive
from tests.support.forked import serving
from tests.support.gateways import Gateway
from tests.support.repositories import make_repository

# Five thousand edits take an agent half a minute, and longer on a machine that is busy.
pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]

FILES = 5000
FUNCTIONS = 1700


def path(number: int) -> str:
    return f"d{number % 50}/f{number}.py"


def program(body: str) -> str:
    return "".join(
        f"def function_{n}():\n    first = {n}\n{body.format(n=n)}    fourth = {n}\n"
        "    return fourth\n\n\n"
        for n in range(FUNCTIONS)
    )


def write(path: str, text: str) -> ToolUse:
    call = {"command": "create", "path": path, "file_text": text}
    return ToolUse("str_replace_based_edit_tool", call, pieces=1)


def many_files(variation: int) -> list[Reply]:
    del variation
    return [
        [write(path(n), f"new {n}\n") for n in range(start, start + 500)]
        for start in range(0, FILES, 500)
    ]


def many_lines(variation: int) -> list[Reply]:
    sign = "*" * variation
    body = f"    second = first {sign} {{n}}\n    third = second - {{n}}\n"
    return [[write("long.py", program(body))]]


def many_words(variation: int) -> list[Reply]:
    del variation
    texts = [MARKDOWN.format(n=n) for n in range(6000)]
    pieces = [piece for text in texts for piece in (text[:200], text[200:])]
    speech = [Text(pieces[start : start + 1000]) for start in range(0, len(pieces), 1000)]
    # Two turns: an agent takes no reply of more than 8 MiB.
    return [[*speech, write("said.md", "Said.\n")], [Text(["z" * 250_000] * 28)]]


SHAPES = {"many files": many_files, "many lines": many_lines, "many words": many_words}


def scroll_down(page: Page) -> None:
    """Turn the wheel, and wait until that has been followed, to the pixel."""
    for _ in range(5):
        page.mouse.wheel(0, 4000)
    # Rows of another height than expected would move the window, and end what scrolls it.
    for _ in range(200):
        if (at := page.evaluate("scrollY")) == 20_000:
            break
        page.wait_for_timeout(50)
    assert at == 20_000


class Player:
    """Does what the prompt asks for, and says that it has."""

    def reply(self, request: Request) -> Reply:
        prompt = str(request.messages[0]["content"])
        shape = next(shape for name, shape in SHAPES.items() if name in prompt)
        answered = [message["role"] for message in request.messages].count("assistant")
        replies: list[Reply] = [*shape(request.variation or 1), [Text("Done.")]]
        return replies[answered]


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, dict[str, str]]]:
    """Return a gateway, and its runs by what they made much of."""
    directory = tmp_path_factory.mktemp("large")
    files = {path(n): f"old {n}\n" for n in range(FILES)}
    long = program("    second = first + {n}\n")
    repository = make_repository(directory / "repository", {**files, "long.py": long})
    with (
        ScriptedModel(Player()) as model,
        serving(
            directory / "data", "--backend", "local", "--allow-file", "--base-url", model.base_url,
            AIDEATOR_API_KEY="key",
        ) as gateway,
    ):  # fmt: skip
        runs = {
            name: gateway.create(
                github_url=repository.as_uri(),
                prompt=f"Make {name}.",
                variations=2 if name == "many lines" else 1,
                limits={"max_run_cost_usd": None, "max_retries": 0},
            )
            for name in SHAPES
        }
        for run_id in runs.values():
            statuses = {v["status"] for v in gateway.finish(run_id)["variations"]}
            assert statuses == {"completed"}
        yield gateway, runs


def test_a_patch_of_five_thousand_files_opens(
    chromium: Browser, visit: Open, large: tuple[Gateway, dict[str, str]]
) -> None:
    gateway, runs = large
    patch = gateway.run(runs["many files"])["variations"][0]["patch"]
    assert patch["files"] == FILES
    tab = visit(gateway.url)
    diff = tab.page.get_by_role("region", name="Patch of attempt 1")

    def read() -> None:
        tab.page.goto(f"{gateway.url}/#/runs/{runs['many files']}")
        expect(tab.page.get_by_text("5,000 files").first).to_be_visible()
        expect(diff).to_contain_text("new 0")
        scroll_down(tab.page)
        tab.page.keyboard.press("End")
        # As many files as this are folded but for the first ones.
        last = max(path(n) for n in range(FILES))
        expect(diff).to_contain_text(last)
        diff.get_by_role("button", name=last).click()
        expect(diff).to_contain_text(f"new {last.rpartition('/f')[2].removesuffix('.py')}")

    assert_responsive(chromium, tab.page, "with a patch of 5,000 files", read)
    tab.clean()


def test_a_patch_of_ten_thousand_lines_opens(
    chromium: Browser, visit: Open, large: tuple[Gateway, dict[str, str]]
) -> None:
    gateway, runs = large
    run_id = runs["many lines"]
    assert gateway.http.get(f"/runs/{run_id}/variations/1/patch").text.count("\n") > 10_000
    tab = visit(gateway.url)
    diff = tab.page.get_by_role("region", name="Patch of attempt 1")

    def read() -> None:
        tab.page.goto(f"{gateway.url}/#/runs/{run_id}")
        expect(diff).to_contain_text("second = first * 0")
        scroll_down(tab.page)
        tab.page.keyboard.press("End")
        expect(diff).to_contain_text(f"second = first * {FUNCTIONS - 1}")
        tab.page.keyboard.press("c")
        pair = tab.page.get_by_role("region", name="Attempt 1 against attempt 2")
        expect(pair).to_be_visible()

    assert_responsive(chromium, tab.page, "with a patch of 10,000 lines", read)
    tab.clean()


def test_a_transcript_of_ten_megabytes_opens(
    chromium: Browser, visit: Open, large: tuple[Gateway, dict[str, str]]
) -> None:
    gateway, runs = large
    run_id = runs["many words"]
    assert len(gateway.http.get(f"/runs/{run_id}/stream").content) > 10_000_000
    tab = visit(gateway.url)
    log = tab.page.get_by_role("log").first

    def read() -> None:
        tab.page.goto(f"{gateway.url}/#/runs/{run_id}/replay")
        expect(tab.page.get_by_label("Moment of the run")).to_be_enabled()
        expect(log).to_contain_text("Finished.")
        log.press("Home")
        expect(log).to_contain_text("Step 0")
        log.press("End")
        expect(log).to_contain_text("Finished.")
        log.press("PageUp")
        # More or less: rows come out higher or lower than expected.
        left, height = log.evaluate(
            "e => [e.scrollHeight - e.scrollTop - e.clientHeight, e.clientHeight]"
        )
        assert 0.7 * height < left < height

    assert_responsive(chromium, tab.page, "with a transcript of 10 MB", read)
    tab.clean()
