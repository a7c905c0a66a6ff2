"""The live view: who is looked at, and what stays in its place."""

import io

from rich.cells import cell_len
from rich.console import Console

from aideator.protocol import Condition, Status, StopReason, Usage
from aideator_gateway.command.terminal.columns import fits
from aideator_gateway.command.terminal.focus import SETTLED_SECONDS, Focus
from aideator_gateway.command.terminal.lines import Lines
from aideator_gateway.command.terminal.pane import Pane
from aideator_gateway.runs.frames import Checked, Completion, Message
from aideator_gateway.runs.model import CheckStatus, Variation

WIDE = "\t世界🎉 " * 30


def said(text: str) -> Message:
    return Message(variation_id=1, type="agent_output", content=text, turn=1, attempt=1, time=0)


def terminal(width: int, height: int = 24) -> Console:
    return Console(
        file=io.StringIO(), force_terminal=True, width=width, height=height, color_system=None,
        highlight=False, markup=False, emoji=False, _environ={"TERM": "xterm"},
    )  # fmt: skip


def variation(label: str | None = None) -> Variation:
    return Variation(variation_id=1, status=Status.RUNNING, condition=Condition(label=label))


def test_focus_stays_with_who_speaks_and_moves_when_that_one_falls_silent_or_ends() -> None:
    now = 0.0
    focus = Focus(1, lambda: now)
    for _ in range(20):
        now += SETTLED_SECONDS / 2
        focus.hear(2, ended=False)
        focus.hear(1, ended=False)
        focus.hear(3, ended=False)
        assert focus.number == 1
    now += SETTLED_SECONDS + 1
    assert focus.number == 3
    focus.hear(2, ended=False)
    assert focus.number in (2, 3)
    focus.hear(2, ended=False)
    focus.hear(3, ended=True)
    assert focus.number == 2
    focus.hear(1, ended=True)
    focus.hear(2, ended=True)
    # Nobody goes on: what was seen last stays.
    assert focus.number == 2


def test_sizes_that_are_drawn_in_place() -> None:
    assert fits(terminal(80, 24), 3)
    assert fits(terminal(40, 20), 5)
    assert not fits(terminal(39, 24), 3)
    assert not fits(terminal(200, 9), 3)
    assert not fits(terminal(200), 1)


def test_wide_characters_and_tabs_stay_within_a_column() -> None:
    console = terminal(40)
    for text in (WIDE, "x" * 100, "世" * 100):
        pane = Pane(variation("世界" * 9), scripted=False)
        pane.add(said(text))
        console.print(pane.render(console, 40, 12))
        console.print(pane.line(40, seen=True))
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert {cell_len(line) for line in lines if line[0] in "╭│╰"} == {40}
    assert all(cell_len(line) <= 40 and "\t" not in line for line in lines)


def test_wide_characters_and_tabs_stay_within_a_line() -> None:
    console = terminal(60)
    with Lines(console, [variation("世界")], scripted=False) as lines:
        for text in (WIDE, "\n", "世" * 100, "\n", "words and 世界 " * 20):
            lines.show(said(text))
    assert isinstance(console.file, io.StringIO)
    printed = console.file.getvalue().splitlines()
    assert all(line.startswith("[1 世界] ") and cell_len(line) <= 60 for line in printed)
    assert sum(line.count("世") for line in printed) == len(printed) + 30 + 100 + 20
    assert "\t" not in console.file.getvalue()


def test_a_pane_says_how_its_check_stands() -> None:
    console = terminal(80)
    pane = Pane(variation(), scripted=False, checked=True)
    ended = Completion(
        variation_id=1, status=Status.COMPLETED, turns=1, seconds=2, usage=Usage(), attempt=1,
        time=2, stop_reason=StopReason.END_TURN, summary="",
    )  # fmt: skip
    pane.add(said("Done."))
    assert "check" not in pane.line(80, seen=True).plain
    pane.add(ended)
    assert "completed · check is running · 1 turn" in pane.line(80, seen=True).plain
    pane.add(
        Checked(
            variation_id=1, status=CheckStatus.FAILED, command="x", exit_code=3, seconds=1.5,
            output="", passed=False, time=4,
        )
    )  # fmt: skip
    assert "completed · check failed (3) · 1 turn" in pane.line(80, seen=True).plain
    console.print(pane.render(console, 40, 12))
    assert isinstance(console.file, io.StringIO)
    assert "check: failed (3) (1.5 s)" in console.file.getvalue()
