"""What a person at a terminal sees: side by side where there is room, else labelled lines."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from aideator_gateway.scripted_model.script import Reply, Text, ToolUse
from tests.support.command import run, terminal
from tests.support.forked import serving
from tests.support.stage import Stage

HOSTILE = "\x1b]0;owned\x07\x1b[2J [bold]not markup[/bold] \u202etfel"
SHOWN = r"\x1b]0;owned\x07\x1b[2J [bold]not markup[/bold] \u202etfel"


def plain(output: bytes) -> str:
    """Return output without the escape sequences that set colours and move the cursor."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output.decode())


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, ...]]:
    """Return the words of a command that a gateway carries out."""
    flags = ("--demo", "--backend", "local", "--allow-file", "--demo-tokens-per-second", "200")
    with serving(tmp_path_factory.mktemp("demo") / "data", *flags) as gateway:
        yield "run", ".", "Improve it.", "--demo", "--data-dir", str(gateway.data_dir)


def test_wide_terminals_show_variations_side_by_side(
    repository: Path, demo: tuple[str, ...]
) -> None:
    with terminal(*demo, cwd=repository, width=200, PAGER="cat") as shown:
        shown.read_until("Look or choose")
        shown.type("v 2\rc 2\r")
        shown.read_until("Why variation 2?")
        shown.type("\r")
        assert shown.finish() == 0
    out = plain(shown.output)
    titles = "".join(f"╭─ variation {n} · scripted demo, not an LLM ─+╮" for n in (1, 2, 3))
    assert re.search(titles, out)
    running = "│ running · turn [1-9] · [0-9,]+ tokens · no cost · [0-9.]+ s +│"
    assert re.search(running, out)
    ended = "│ completed · [1-9] turns · [0-9,]+ tokens · no cost · [0-9.]+ s +│"
    assert re.search(ended * 3, out)
    assert "\x1b[32m+" in shown.output.decode()
    assert "Winner: variation 2, recorded for run_" in out
    assert max(len(line) for line in out.splitlines()) <= 200
    won = re.search(r"recorded for (run_\w+)", out)
    assert won is not None
    found = run("show", won[1], "--json", *demo[-2:], cwd=repository)
    assert json.loads(found.stdout)["winning_variation_id"] == 2


def test_three_fit_side_by_side_in_120_columns(repository: Path, demo: tuple[str, ...]) -> None:
    with terminal(*demo, cwd=repository, width=120) as shown:
        shown.read_until("Look or choose")
        shown.type("\r")
        assert shown.finish() == 0
    out = plain(shown.output)
    assert re.search("".join(f"╭─ {n} · scripted demo, not an LLM ─+╮" for n in (1, 2, 3)), out)
    assert re.search("│ completed · [^│]+│" * 3, out)
    assert max(len(line) for line in out.splitlines() if line[:1] in "╭│╰") == 120


def test_narrow_terminals_show_a_line_for_each_and_one_below(
    repository: Path, demo: tuple[str, ...]
) -> None:
    with terminal(*demo, cwd=repository, width=80, height=24) as shown:
        shown.read_until("Look or choose")
        shown.type("\r")
        assert shown.finish() == 0
    out = plain(shown.output)
    line = "[▸ ] {} running · turn [0-9] · [0-9,]+ tokens · no cost · [0-9.]+ s *\r\n"
    assert re.search("".join(line.format(n) for n in (1, 2, 3)) + "╭─ variation [123] · ", out)
    ended = "[▸ ] {} completed · [1-9] turns · [0-9,]+ tokens · no cost · [0-9.]+ s *\r\n"
    assert re.search("".join(ended.format(n) for n in (1, 2, 3)) + "╭─ variation [123] · ", out)
    live = out[: out.rindex("╰")]
    assert max(len(line) for line in live.splitlines() if line[:1] in "▸ ╭│╰") <= 80
    assert "No winner is recorded" in out


def test_one_variation_is_labelled_lines(repository: Path, demo: tuple[str, ...]) -> None:
    with terminal(*demo, "-n", "1", cwd=repository, width=80) as shown:
        shown.read_until("Look or choose")
        before = plain(shown.output)
        shown.type("\r")
        assert shown.finish() == 0
    live = before[: before.index("status ")]
    assert "╭" not in live
    assert re.search(r"\[1\] turn 1 · [0-9,]+ tokens · no cost", live)
    assert "scripted demo, not an LLM" in live
    assert [line for line in live.splitlines() if len(line) > 80 and line.startswith("[")] == []


def test_control_characters_of_agents_are_shown_and_never_obeyed(
    repository: Path, stage: Stage
) -> None:
    create = {"command": "create", "path": "x.txt", "file_text": f"{HOSTILE}\n"}
    replies: list[Reply] = [
        [Text([HOSTILE, "\n"]), ToolUse("str_replace_based_edit_tool", create)],
        [Text("Done.")],
    ]
    stage.play({1: replies, 2: replies})
    for width in (60, 100, 200):
        with terminal(
            "run", ".", HOSTILE, "-n", "2", "--condition", f"label={HOSTILE}", "--condition",
            "label=b", *stage.data_dir, cwd=repository, width=width, PAGER="cat",
        ) as shown:  # fmt: skip
            shown.read_until("Look or choose")
            shown.type("v 1\r\r")
            assert shown.finish() == 0
        for said in (b"\x1b]0;", b"\x1b[2J", b"\x07", "\u202e".encode()):
            assert said not in shown.output
        assert f"+{SHOWN}" in plain(shown.output)
    named = re.search(r"run_[0-9a-f]{16}", plain(shown.output))
    assert named is not None
    followed = run("show", named[0], "1", *stage.data_dir, cwd=repository)
    # Piped, the patch is what it is; all the rest is still text.
    table, _, patch = followed.stdout.decode().partition("diff --git ")
    assert "\x1b" not in table
    assert HOSTILE in patch
