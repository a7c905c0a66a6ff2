"""What a person at a terminal sees: side by side where there is room, else labelled lines."""

import json
import re
from pathlib import Path

from aideator_gateway.scripted_model.script import Reply, Text, ToolUse
from aideator_gateway.scripted_model.server import Script, ScriptedModel
from tests.support.command import run, terminal

HOSTILE = "\x1b]0;owned\x07\x1b[2J [bold]not markup[/bold] \u202etfel"
SHOWN = r"\x1b]0;owned\x07\x1b[2J [bold]not markup[/bold] \u202etfel"


def plain(output: bytes) -> str:
    """Return output without the escape sequences that set colours and move the cursor."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output.decode())


def demo(data: Path) -> tuple[str, ...]:
    return (
        "run", ".", "Improve it.", "--demo", "--backend", "local",
        "--demo-tokens-per-second", "200", "--data-dir", str(data),
    )  # fmt: skip


def test_wide_terminals_show_variations_side_by_side(repository: Path, tmp_path: Path) -> None:
    with terminal(*demo(tmp_path / "data"), cwd=repository, width=200, PAGER="cat") as shown:
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
    found = run("show", "--json", "--data-dir", str(tmp_path / "data"), cwd=tmp_path)
    assert json.loads(found.stdout)["winning_variation_id"] == 2


def test_three_fit_side_by_side_in_120_columns(repository: Path, tmp_path: Path) -> None:
    with terminal(*demo(tmp_path / "data"), cwd=repository, width=120) as shown:
        shown.read_until("Look or choose")
        shown.type("\r")
        assert shown.finish() == 0
    out = plain(shown.output)
    assert re.search("".join(f"╭─ {n} · scripted demo, not an LLM ─+╮" for n in (1, 2, 3)), out)
    assert re.search("│ completed · [^│]+│" * 3, out)
    assert max(len(line) for line in out.splitlines() if line[:1] in "╭│╰") == 120


def test_narrow_terminals_show_a_line_for_each_and_one_below(
    repository: Path, tmp_path: Path
) -> None:
    with terminal(*demo(tmp_path / "data"), cwd=repository, width=80, height=24) as shown:
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


def test_one_variation_is_labelled_lines(repository: Path, tmp_path: Path) -> None:
    with terminal(*demo(tmp_path / "data"), "-n", "1", cwd=repository, width=80) as shown:
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
    repository: Path, tmp_path: Path
) -> None:
    create = {"command": "create", "path": "x.txt", "file_text": f"{HOSTILE}\n"}
    replies: list[Reply] = [
        [Text([HOSTILE, "\n"]), ToolUse("str_replace_based_edit_tool", create)],
        [Text("Done.")],
    ]
    for width in (60, 100, 200):
        with (
            ScriptedModel(Script({1: replies, 2: replies})) as model,
            terminal(
                "run", ".", HOSTILE, "-n", "2", "--backend", "local", "--base-url",
                model.base_url, "--condition", f"label={HOSTILE}", "--condition", "label=b",
                "--data-dir", str(tmp_path / f"data{width}"),
                cwd=repository, width=width, AIDEATOR_API_KEY="key", PAGER="cat",
            ) as shown,
        ):  # fmt: skip
            shown.read_until("Look or choose")
            shown.type("v 1\r\r")
            assert shown.finish() == 0
        for said in (b"\x1b]0;", b"\x1b[2J", b"\x07", "\u202e".encode()):
            assert said not in shown.output
        assert f"+{SHOWN}" in plain(shown.output)
    followed = run("show", "1", "--data-dir", str(tmp_path / "data200"), cwd=tmp_path)
    # Piped, the patch is what it is; all the rest is still text.
    table, _, patch = followed.stdout.decode().partition("diff --git ")
    assert "\x1b" not in table
    assert HOSTILE in patch
