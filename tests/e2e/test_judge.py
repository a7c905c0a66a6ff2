"""Blind judging at a terminal: one key, nothing that tells, nothing that is lost."""

import itertools
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from aideator_gateway.experiments.judgments import Judgment, read_judgments
from aideator_gateway.scripted_model.server import ScriptedModel
from tests.support.command import Terminal, error_of, terminal
from tests.support.forked import serving
from tests.support.known_quality import KnownQuality
from tests.support.labs import FLAGS, Lab
from tests.support.screens import Screen
from tests.tasks.steps import create

ASKED = "q quit: "
HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b2J\u202efel \x7f"
CTRL_C = "\x03"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, shared_repository: Path) -> Iterator[Lab]:
    """Return an experiment whose conditions always answer well and always badly, on a gateway."""
    hostile = create(f"{HOSTILE}.txt", f"{HOSTILE}\n")
    with ScriptedModel(KnownQuality(5_000, hostile), record=False) as model:
        lab = Lab(tmp_path_factory.mktemp("lab"), shared_repository, model)
        lab.write(qualities=(100, 0), repeats=2)
        with serving(lab.data, *FLAGS, "--allow-file", **lab.settings):
            lab.run()
            yield lab


NUMBERS = itertools.count(1)


@dataclass
class Mine:
    """An experiment that one test judges."""

    data: Path
    name: str

    @property
    def file(self) -> Path:
        return self.data / f"experiments/{self.name}.judgments.jsonl"

    @property
    def words(self) -> tuple[str, ...]:
        return self.name, "--data-dir", str(self.data)

    def kept(self) -> list[Judgment]:
        return read_judgments(self.file)


@pytest.fixture
def mine(served: Lab) -> Mine:
    """Return the finished experiment under a name of one's own."""
    mine = Mine(served.data, f"known-{next(NUMBERS)}")
    directory = served.data / "experiments"
    shutil.copy(directory / "known.jsonl", directory / f"{mine.name}.jsonl")
    return mine


@contextmanager
def judging(
    mine: Mine, *flags: str, width: int = 200, height: int = 50, **settings: str
) -> Iterator[Terminal]:
    with terminal(
        "judge", *mine.words, *flags, cwd=mine.data.parent, width=width, height=height,
        **{"PAGER": "cat", **settings},
    ) as shown:  # fmt: skip
        shown.read_until(ASKED)
        yield shown


def press(shown: Terminal, key: str, then: str = ASKED) -> str:
    """Press a key, and return what is shown until the next question."""
    before = len(shown.output)
    shown.type(key)
    shown.read_until(then, since=before)
    return plain(shown.output[before:])


def plain(output: bytes) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output.decode(errors="replace"))


def better(text: str) -> str:
    """Return the key for the good answer in a pair that was shown one below the other."""
    return "1" if text.rindex("+good") < text.rindex("+bad") else "2"


def test_a_wide_terminal_shows_both_beside_each_other_and_tells_nothing(mine: Mine) -> None:
    with judging(mine) as shown:
        rows = Screen(shown, 200, 50).rows
        assert any(row.startswith("── 1 of 8 · task ") for row in rows)
        assert re.search(r"^Answer \d\.$", "\n".join(rows), re.MULTILINE)
        assert any(re.search("─ left ─.*─┬── right ─", row) for row in rows)
        assert any(re.search(r"^\+(good +│ \+bad|bad +│ \+good)$", row) for row in rows), rows
        assert any(row.count("+++ b/answer.txt") == 2 for row in rows)
        for _ in range(3):
            press(shown, "1")
        before = plain(shown.output)
        assert not re.search(r"run_|100 %|0 %|claude|passed|failed|\$", before)
        # The patch is shown, and never obeyed.
        assert r"\x1b]0;owned\x07\x1b[2J" in before
        for obeyed in (b"\x1b]0;", b"\x1b[2J", b"\x9b2J", "\u202e".encode()):
            assert obeyed not in shown.output
        shown.type("q")
        assert shown.finish() == 0
    after = plain(shown.output).removeprefix(before)
    assert "3 judgments kept." in after
    assert "So far, 3 comparisons at 2 tasks:" in after
    assert re.search(r"100 % wins \d+ %, of 3", after)


@pytest.mark.parametrize("width", [80, 119])
def test_a_narrow_one_shows_one_below_the_other(mine: Mine, width: int) -> None:
    with judging(mine, width=width, height=24) as shown:
        text = plain(shown.output)
        assert re.search(r"── left \r\n(.*\r\n)+── right \r\n", text)
        question = Screen(shown, width, 24).rows
        assert any(row.endswith("v view again, q quit:") for row in question)


def choose_the_better(shown: Terminal) -> None:
    """Judge all pairs, on whichever side the good answer is."""
    text = plain(shown.output)
    for number in range(8):
        last = number == 7
        text = press(shown, better(text), "You have judged all 8 pairs." if last else ASKED)
    assert shown.finish() == 0


def test_what_is_better_wins_whatever_its_side(mine: Mine) -> None:
    with judging(mine, "--as", "Ada", width=80) as shown:
        choose_the_better(shown)
    said = plain(shown.output)
    assert "100 % wins 100 %, of 8" in said
    assert "0 % wins 0 %, of 8" in said
    judged = mine.kept()
    assert len({one.pair for one in judged}) == len(judged) == 8
    assert {one.judge for one in judged} == {"Ada"}
    assert all(one.seconds is not None and one.seconds < 60 for one in judged)
    with terminal("judge", *mine.words, "--as", "Ada", cwd=mine.data) as more:
        assert more.finish() == 0
        assert "With --again they come once more." in plain(more.output)
    # Another judge has them all before them.
    with judging(mine, "--as", "Bea", "--overlap", width=80) as other:
        assert "── 1 of 8" in plain(other.output)
        choose_the_better(other)
    judged = mine.kept()
    assert {one.winner and one.winner.condition for one in judged} == {"100 %"}
    # By lot, both sides come up: one alone in one of 33,000 cases.
    assert len(judged) == 16
    assert {one.verdict for one in judged} == {"left", "right"}


def test_every_key_does_what_it_says(mine: Mine) -> None:
    with judging(mine, "--show-checks", width=80) as shown:
        first = plain(shown.output)
        key = better(first)
        checks = "left passed, right failed" if key == "1" else "left failed, right passed"
        assert f"Checks: {checks}" in first
        assert "Nothing" not in press(shown, "x")
        assert "── 1 of 8" in press(shown, "v")
        assert "There is nothing to take back." in press(shown, "u")
        second = press(shown, "t")
        assert "Kept: tie." in second and "── 2 of 8" in second
        assert "── 3 of 8" in press(shown, "s")
        assert "Taken back." in (back := press(shown, "u"))
        assert pair_in(back) == pair_in(second)
        assert "── 3 of 8" in press(shown, "\x1b[D")
        assert "── 4 of 8" in press(shown, "\x1b[C")
        shown.type("q")
        assert shown.finish() == 0
    assert [one.verdict for one in mine.kept()] == ["tie", "left", "right"]
    assert "3 judgments kept." in plain(shown.output)
    # What was said last, in whichever sitting, can be taken back.
    with judging(mine) as shown:
        assert "Taken back." in press(shown, "u")
    assert [one.verdict for one in mine.kept()] == ["tie", "left"]


def pair_in(text: str) -> str:
    return text[text.index("── 2 of 8") : text.index("Better?")]


def test_ctrl_c_and_kill_lose_nothing_that_was_said(mine: Mine) -> None:
    with judging(mine) as shown:
        press(shown, "1")
        press(shown, "2")
        shown.type(CTRL_C)
        assert shown.finish() == 130
        assert "2 judgments kept." in plain(shown.output)
        assert "Traceback" not in plain(shown.output)
    with judging(mine) as shown:
        assert "── 3 of 8" in plain(shown.output)
        press(shown, "t", "Kept: tie.")
        # At whatever it is now: what it said is kept is kept.
        shown.process.kill()
        shown.process.wait()
    assert len(mine.kept()) == 3
    lines = mine.file.read_bytes()
    mine.file.write_bytes(lines + lines[:40])
    with judging(mine) as shown:
        press(shown, "1")
    assert len(mine.kept()) == 4


def test_what_nobody_has_seen_is_not_answered(mine: Mine) -> None:
    """Keys that are typed while the pager shows a pair are no answers."""
    with judging(mine, PAGER="cat; echo paged; sleep 1") as shown:
        before = len(shown.output)
        shown.type("t")
        shown.read_until("paged", since=before)
        shown.type("1111")
        shown.read_until(ASKED, since=before)
        press(shown, "s")
    assert [one.verdict for one in mine.kept()] == ["tie", "skip"]


def test_a_long_patch_goes_through_the_pager_also_with_a_gateway_of_its_own(
    mine: Mine, tmp_path: Path
) -> None:
    taken = tmp_path / "taken"
    alone = Mine(tmp_path / "data", mine.name)
    shutil.copytree(mine.data, alone.data, ignore=shutil.ignore_patterns("gateways"))
    with judging(alone, PAGER=f"cat >> {taken}") as shown:
        assert "+good" not in plain(shown.output)
        assert "+good" in plain(taken.read_bytes())
        press(shown, "1")
    assert len(alone.kept()) == 1
    assert not mine.file.exists()


def test_what_cannot_be_is_one_error(mine: Mine, tmp_path: Path) -> None:
    words = ("--data-dir", str(mine.data))
    assert "takes a terminal" in error_of("judge", *mine.words, cwd=tmp_path)
    file = tmp_path / "other.toml"
    file.write_text('name = "No Name"\n')
    for word, told in (
        ("unknown", "There is no experiment 'unknown' in the data directory"),
        ("No-such.toml", "There is no file No-such.toml"),
        ("other.toml", "has no name that can be one"),
    ):
        with terminal("judge", word, *words, cwd=tmp_path, width=200) as shown:
            assert shown.finish() == 1
        assert told in plain(shown.output)
    with terminal("judge", *mine.words, "--as", " x", cwd=tmp_path, width=200) as shown:
        assert shown.finish() == 2


def test_identical_patches_are_left_out_and_a_file_is_a_name(served: Lab) -> None:
    file = served.write(qualities=(100, 50), tasks=1, repeats=2)
    file.write_text(file.read_text().replace('name = "known"', 'name = "same"'))
    served.run()
    words = ("judge", "experiment.toml", "--data-dir", str(served.data))
    with terminal(*words, cwd=served.directory, PAGER="cat") as shown:
        shown.read_until(ASKED)
        assert "Left out: 2 pairs with the same patch on both sides." in plain(shown.output)
        assert "── 1 of 2" in plain(shown.output)
