"""No serious finding of axe in any view, in both themes, and nothing wider than its window."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from aideator_gateway.scripted_model.script import Drop, Hang, Reply, Text, Thinking, ToolUse
from aideator_gateway.scripted_model.server import Script, ScriptedModel
from tests.page.conftest import Open
from tests.page.looking import APPEARANCES, Act, Appearances, Looking, opened_as
from tests.page.tasks import MARKDOWN
from tests.support.forked import serving
from tests.support.gateways import Gateway

# Two dozen views a test, and axe takes its time with each.
pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

LONG = "a-name-that-is-longer-than-any-column-is-wide-and-has-no-space-in-it-to-break-at"


@pytest.fixture(scope="module")
def finished(demo_gateway: Gateway, shared_repository: Path) -> str:
    run_id = demo_gateway.create(
        github_url=shared_repository.as_uri(),
        prompt="Improve it.\n\nIn more than one line.",
        conditions=[{"style": "smallest"}, {"label": LONG}, {}],
    )
    demo_gateway.finish(run_id)
    for number, reason in ((1, None), (2, f"Clear. {LONG}")):
        choice = {"winning_variation_id": number, "reason": reason}
        assert demo_gateway.http.post(f"/runs/{run_id}/select", json=choice).status_code == 200
    return run_id


@pytest.fixture(scope="module")
def live(
    tmp_path_factory: pytest.TempPathFactory, shared_repository: Path
) -> Iterator[tuple[Gateway, str]]:
    """Return a gateway with a run that goes on: silent, completed, and writing on and on."""
    view = ToolUse("str_replace_based_edit_tool", {"command": "view", "path": "greet.py"})
    missing = ToolUse("str_replace_based_edit_tool", {"command": "view", "path": f"{LONG}.py"})
    silent: list[Reply] = [
        [Thinking("First a thought."), Text(MARKDOWN.format(n=1)), view, missing],
        [Text("Half a sen"), Drop()],
        [Text("The whole sentence."), Hang()],
    ]
    on_and_on: list[Reply] = [[Text([MARKDOWN.format(n=2), *["word "] * 50_000], pace=0.05)]]
    replies: dict[int, list[Reply]] = {1: silent, 2: [[Text("Done.")]] * 2, 3: on_and_on}
    with (
        ScriptedModel(Script(replies)) as model,
        serving(
            tmp_path_factory.mktemp("live") / "data", "--backend", "local", "--allow-file",
            "--base-url", model.base_url, AIDEATOR_API_KEY="key",
        ) as gateway,
    ):  # fmt: skip
        conditions = [{"label": LONG}, {"model": "other"}, {}]
        yield (
            gateway,
            gateway.create(github_url=shared_repository.as_uri(), conditions=conditions),
        )


def press(key: str) -> Act:
    return lambda page: page.keyboard.press(key)


def click(name: str) -> Act:
    return lambda page: page.get_by_role("button", name=name).first.click()


@APPEARANCES
def test_every_view_can_be_read_by_everybody(
    visit: Open,
    demo_gateway: Gateway,
    finished: str,
    live: tuple[Gateway, str],
    tmp_path: Path,
    appearances: Appearances,
) -> None:
    options = opened_as(appearances)
    tab = visit(demo_gateway.url, **options)
    look = Looking(tab.page, demo_gateway.url, appearances)
    look.show("#/", ".run-row")
    look.show("#/", ".run-row", press("?"), "dialog .keys")
    look.show("#/", ".run-row", click("Delete: Improve it."), "dialog .danger")
    look.show(
        "#/", ".run-row", lambda page: page.get_by_label("Search runs").fill("no such"), ".empty"
    )
    look.show("#/new", ".condition")
    look.show("#/new", ".condition", click("Start 3 attempts"), "[aria-invalid=true]")
    look.show(
        "#/new", ".condition", lambda page: page.get_by_label("Label").first.fill(LONG), "h2.cut"
    )
    run = f"#/runs/{finished}"
    look.show(f"{run}/results/1", ".line")
    look.show(f"{run}/results/1", ".line", press("u"))
    look.show(f"{run}/results/1", ".line", press("s"), "dialog textarea")
    look.show(f"{run}/results/1", ".line", click("Apply or download"), "dialog .copy")
    look.show(f"{run}/results/1/against/3", ".pair")
    look.show(f"{run}/results/1/against/3", ".pair", press("d"))
    look.show(f"{run}/replay", ".transcript-row")
    look.show(f"{run}/replay", ".transcript-row", click("Play"), ".player")
    look.show("#/runs/none", "[role=alert]")
    tab.clean()

    gateway, run_id = live
    other = visit(gateway.url, **options)
    other_look = Looking(other.page, gateway.url, appearances)
    path = f"#/runs/{run_id}/live"
    other_look.show(path, ".retry", lambda page: page.locator("summary:visible").last.click())
    # In a narrow window one column is shown, and it may be the one that is growing.
    pick = other.page.get_by_role("group", name="Shown attempt").get_by_role("button").nth(2)
    other_look.show(path, ".retry", lambda _: pick.click() if pick.is_visible() else None)
    other_look.show(f"#/runs/{run_id}/results", ".card")
    assert gateway.run(run_id)["status"] == "running"
    other.clean()

    with serving(tmp_path / "data", "--backend", "local", token="token") as locked:  # noqa: S106
        third = visit(locked.url, **options)
        third_look = Looking(third.page, locked.url, appearances)
        third_look.show("", "input")

        def enter(token: str) -> Act:
            def act(page: Page) -> None:
                page.get_by_label("Token").fill(token)
                page.get_by_role("button", name="Go on").click()

            return act

        third_look.show("", "input", enter("wrong"), "[role=alert]")
        third_look.show("", "input", enter("token"), ".welcome")
        third.clean()
    assert [*look.findings, *other_look.findings, *third_look.findings] == []
