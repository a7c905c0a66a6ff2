"""Choosing among attempts at a terminal: looking is safe, and only a word of its own decides."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from aideator_gateway.scripted_model.script import Hang, HttpError, Reply, Text, ToolUse
from tests.support.command import Terminal, run, run_here, terminal
from tests.support.programs import Programs
from tests.support.repositories import git, make_repository
from tests.support.stage import Stage

EDITOR = "str_replace_based_edit_tool"
ASKED = "Look or choose"
HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b2J\u202efel \x7f"
CTRL_C, CTRL_D = "\x03", "\x04"


def creates(path: str, text: str, said: str = "Done.") -> list[Reply]:
    call = {"command": "create", "path": path, "file_text": text}
    return [[ToolUse(EDITOR, call)], [Text(said)]]


def greets(word: str) -> list[Reply]:
    call = {"command": "str_replace", "path": "greet.py", "old_str": "Hello", "new_str": word}
    return [[ToolUse(EDITOR, call)], [Text(f"Says {word} now.")]]


LONG = "".join(f"line {number}\n" for number in range(10_000))
REFUSAL: list[Reply] = [[HttpError(400, "invalid_request_error", "No.")]]


@dataclass
class Ended:
    """A run that has ended, and that no test decides or changes."""

    run_id: str
    repository: Path


@pytest.fixture(scope="module")
def repository_of_all(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_repository(tmp_path_factory.mktemp("chooser") / "repository")


@pytest.fixture(scope="module")
def one(stage: Stage, repository_of_all: Path) -> Ended:
    """Return a run with one attempt."""
    run_id = stage.run(repository_of_all, {1: greets("Howdy")}, prompt="Be friendlier.")
    return Ended(run_id, repository_of_all)


@pytest.fixture(scope="module")
def two(stage: Stage, repository_of_all: Path) -> Ended:
    """Return a run with two attempts that differ, and one that was refused."""
    turns = {1: greets("Hi"), 2: greets("Howdy"), 3: REFUSAL}
    return Ended(stage.run(repository_of_all, turns), repository_of_all)


@pytest.fixture(scope="module")
def long(stage: Stage, repository_of_all: Path) -> Ended:
    """Return a run whose patch is long."""
    return Ended(stage.run(repository_of_all, {1: creates("long.txt", LONG)}), repository_of_all)


@dataclass
class Chooser:
    """A run that has come to its question, on a terminal."""

    screen: Terminal
    stage: Stage
    repository: Path
    run_id: str

    def answer(self, text: str, until: str = ASKED, end: str = "\r") -> str:
        """Type a line, and return what was shown until the next question."""
        before = len(self.screen.output)
        if text == CTRL_C:
            self.settle()
        self.screen.type(f"{text}{end}")
        self.screen.read_until(until, since=before + len(text))
        return plain(self.screen.output[before:])

    def settle(self) -> None:
        """Wait until the command waits for input: before that, readline can miss a Ctrl-C."""
        stat = Path(f"/proc/{self.screen.process.pid}/stat")
        asleep, deadline = 0, time.monotonic() + 30
        while asleep < 4:
            assert time.monotonic() < deadline
            asleep = asleep + 1 if stat.read_text().rpartition(")")[2].split()[0] == "S" else 0
            time.sleep(0.05)

    def winner(self) -> tuple[int | None, str | None]:
        """Return who was recorded, and why."""
        shown = self.stage.gateway.run(self.run_id)
        reasons = [choice["reason"] for choice in shown["selections"]]
        return shown["winning_variation_id"], reasons[-1] if reasons else None


def plain(output: bytes) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output.decode(errors="replace"))


@contextmanager
def choosing(
    stage: Stage, ended: Ended, *, until: str = ASKED, width: int = 80, height: int = 24,
    **settings: str,
) -> Iterator[Chooser]:  # fmt: skip
    """Come to a run that has ended."""
    words = ("select", ended.run_id, *stage.data_dir)
    with terminal(
        *words, cwd=ended.repository, width=width, height=height, **{"PAGER": "cat", **settings}
    ) as screen:
        screen.read_until(until)
        yield Chooser(screen, stage, ended.repository, ended.run_id)


@contextmanager
def following(
    stage: Stage, repository: Path, turns: dict[int, list[Reply]], *, until: str = ASKED,
    width: int = 80, height: int = 24,
) -> Iterator[Chooser]:  # fmt: skip
    """Start a run, and follow it to its question."""
    stage.play(turns)
    words = ("run", ".", "Be friendlier.", "-n", str(len(turns)), *stage.data_dir)
    with terminal(*words, cwd=repository, width=width, height=height, PAGER="cat") as screen:
        screen.read_until(until)
        run_id = re.search(r"run_[0-9a-f]{16}", plain(screen.output))
        assert run_id is not None
        yield Chooser(screen, stage, repository, run_id[0])


THREE = {1: greets("Howdy"), 2: greets("Howdy"), 3: creates("docs/new.md", "# New\n")}


def look_and_choose(chooser: Chooser, width: int) -> None:
    """See that all can be looked at, that nothing but its command decides, and choose 3."""
    before = chooser.winner()
    table = plain(chooser.screen.output)
    assert re.search(r"^2 .*1 file, \+1 -1 · same as 1", table, re.MULTILINE)
    assert re.search(r"^1 2 · +greet.py", table, re.MULTILINE)
    assert re.search(r"^· · 3 +docs/new.md", table, re.MULTILINE)
    # Nothing scrolls by between the table and the question.
    assert "diff --git" not in table
    for line in table[table.rindex("status ") :].splitlines():
        assert len(line) <= width

    assert '+    return "Howdy, " + name' in chooser.answer("1")
    assert "+# New" in chooser.answer("v3")
    assert "Variations 1 and 2 do not differ." in chooser.answer("d 1 2")
    out = chooser.answer("diff 1 3")
    assert '-    return "Howdy, " + name' in out
    assert "+# New" in out
    out = chooser.answer("t 1")
    assert "── turn 2" in out
    assert "Says Howdy now." in out
    assert "same as 1" in chooser.answer("l")
    assert f"put it into {chooser.repository}" in chooser.answer("?")
    for wrong in ("c", "c 1 2", "d 1", "d 2 2", "x", "cancel 1", "7", "é"):
        assert "Error: " in chooser.answer(wrong), wrong
    assert chooser.winner() == before

    chooser.answer("c 3", until="Why variation 3?")
    chooser.screen.type("It is new.\r")
    assert chooser.screen.finish() == 0
    assert chooser.winner() == (3, "It is new.")


def test_attempts_are_looked_at_and_one_is_chosen_for_a_reason(
    stage: Stage, repository: Path
) -> None:
    with following(stage, repository, THREE) as chooser:
        assert chooser.winner() == (None, None)
        look_and_choose(chooser, 80)

    # Who comes back is asked again, and told what was chosen.
    with choosing(stage, Ended(chooser.run_id, repository)) as again:
        assert "Be friendlier." in plain(again.screen.output)
        assert "Winner: variation 3: It is new." in plain(again.screen.output)
        again.answer("", until="Nothing is changed: the winner is still variation 3.")
        assert again.screen.finish() == 0
    assert again.winner() == (3, "It is new.")
    for width, height in ((120, 40), (200, 50)):
        run_here("select", chooser.run_id, "1", *stage.data_dir, cwd=repository)
        ended = Ended(chooser.run_id, repository)
        with choosing(stage, ended, width=width, height=height) as again:
            look_and_choose(again, width)


def test_what_was_made_is_shown_and_never_obeyed(stage: Stage, repository: Path) -> None:
    file = "new\x1b[2J\u202e.txt"
    turns = {1: creates(file, f"{HOSTILE}\n", HOSTILE), 2: creates(file, "x\n")}
    ended = Ended(stage.run(repository, turns), repository)
    with choosing(stage, ended) as chooser:
        for look in ("1", "d 1 2", "t 1", "\u202e 1", "l"):
            chooser.answer(look)
        chooser.answer("c 1", until="Why variation 1?")
        # Ctrl-V lets a terminal take the next key as it is.
        chooser.screen.type("good\x16\x1b[2J\x16\x07\u202e\r")
        assert chooser.screen.finish() == 0
        for said in (b"\x1b]0;", b"\x1b[2J", b"\x9b2J", "\x9b".encode()):
            assert said not in chooser.screen.output
        assert r"\x1b]0;owned\x07\x1b[2J\u009b2J\u202efel" in plain(chooser.screen.output)
        assert chooser.winner()[0] == 1
        shown = run_here("show", ended.run_id, *stage.data_dir, cwd=repository).stdout
        assert b"\x1b" not in shown


def test_a_long_patch_goes_through_the_pager_whole(
    stage: Stage, long: Ended, tmp_path: Path
) -> None:
    taken = tmp_path / "taken"
    with choosing(stage, long, PAGER=f"cat >> {taken}") as chooser:
        assert "line 9" not in chooser.answer("v 1")
        assert plain(taken.read_bytes()).count("\n+line ") == 10_000
        assert b"\x1b[" in taken.read_bytes()
        chooser.answer("t 1")
        assert "turn 2" in taken.read_text()


def test_patches_go_through_delta_where_it_is(stage: Stage, two: Ended, tmp_path: Path) -> None:
    """A stand-in of that name keeps what it is given; the suite needs no real one."""
    taken, paged = tmp_path / "taken", tmp_path / "paged"
    programs = Programs(tmp_path / "bin")
    programs.write("delta", f'echo "delta: $#" >> {taken}\nexec cat >> {taken}')
    way, pager = programs.path, f"cat >> {paged}"

    def given() -> str:
        text = taken.read_text()
        taken.unlink()
        return text

    with choosing(stage, two, PATH=way, PAGER=pager) as chooser:
        for look, line in (("v 1", "Hi"), ("d 1 2", "Howdy")):
            assert "diff --git" not in chooser.answer(look)
            said = given()
            assert said.startswith("delta: 0\n")
            assert f'\n+    return "{line}, " + name\n' in said
            # It has colours of its own; ours would be taken for the file's.
            assert "\x1b" not in said
        assert not paged.exists()
        chooser.answer("t 1")
        assert not taken.exists()
        assert "Says Hi now." in paged.read_text()
        chooser.answer("q", until="No winner is recorded")
        assert chooser.screen.finish() == 0
        words = ("show", two.run_id, "1", "--patch", *stage.data_dir)
        with terminal(*words, cwd=tmp_path, PATH=way, PAGER=pager) as screen:
            assert screen.finish() == 0
        assert "diff --git a/greet.py b/greet.py\n" in given()
        # Piped, nothing stands between.
        done = run(*words, cwd=tmp_path, PATH=way, PAGER=pager)
        assert done.stdout.startswith(b"diff --git ")
        assert not taken.exists()


@pytest.mark.parametrize("pager", ["head -n 1", "true", "exit 3"])
def test_a_pager_that_is_left_early_does_no_harm(stage: Stage, long: Ended, pager: str) -> None:
    with choosing(stage, long, PAGER=pager) as chooser:
        out = chooser.answer("v 1")
        assert "+line 9999" not in out
        assert "Traceback" not in out
        chooser.answer("", until="No winner is recorded")
        assert chooser.screen.finish() == 0


@pytest.mark.parametrize("pager", ["no-such-pager -x", "./README.md"])
def test_a_pager_that_cannot_be_started_is_done_without(
    stage: Stage, one: Ended, pager: str
) -> None:
    with choosing(stage, one, PAGER=pager) as chooser:
        assert '+    return "Howdy, " + name' in chooser.answer("v 1")


def test_ctrl_c_in_a_pager_comes_back_to_the_question(stage: Stage, one: Ended) -> None:
    with choosing(stage, one, PAGER="echo paging; exec sleep 60") as chooser:
        chooser.answer("v 1", until="paging")
        chooser.answer(CTRL_C, end="")
        chooser.answer("c 1", until="Why variation 1?")
        chooser.answer(CTRL_C, end="")
        assert chooser.winner() == (None, None)
        chooser.settle()
        chooser.screen.type(CTRL_C)
        assert chooser.screen.finish() == 130
        out = plain(chooser.screen.output)
        assert "Traceback" not in out
        assert re.search(r"No winner is recorded: aideator select run_\w+ N", out)


def test_that_none_is_good_enough_is_recorded_with_a_reason(stage: Stage, repository: Path) -> None:
    run_id = stage.run(repository, {1: greets("Hi"), 2: greets("Howdy")})
    with choosing(stage, Ended(run_id, repository)) as chooser:
        chooser.answer("n", until="Why none of them?")
        chooser.screen.type("Both are rude.\r")
        assert chooser.screen.finish() == 0
    assert f"Winner: nobody, recorded for {run_id}" in plain(chooser.screen.output)
    assert chooser.winner() == (None, "Both are rude.")

    def said(*words: str, expect: int = 0) -> str:
        done = run_here(*words, *stage.data_dir, cwd=repository, expect=expect)
        return (done.stderr if expect else done.stdout).decode()

    assert "Winner: nobody: Both are rude." in said("show", run_id)
    assert re.search(f"^{run_id} .* nobody ", said("list", "-n", "1000"), re.MULTILINE)
    said("select", run_id, "2")
    assert chooser.winner() == (2, None)
    none = said("select", run_id, "--none", "--reason", "No.")
    assert none.startswith(f"Winner: nobody, recorded for {run_id}")
    assert chooser.winner() == (None, "No.")
    # Without a terminal nobody can be asked; with one, not for what was said already.
    for wrong in (("select",), ("select", run_id), ("select", "1", "--none")):
        assert "--none in place of N" in said(*wrong, expect=2)
    words = ("select", run_id, "--reason", "x", *stage.data_dir)
    with terminal(*words, cwd=repository, width=200) as screen:
        assert screen.finish() == 2
    assert "lets you look and choose" in plain(screen.output)
    assert chooser.winner() == (None, "No.")


def test_the_end_of_input_is_nobody(stage: Stage, one: Ended) -> None:
    with choosing(stage, one) as chooser:
        chooser.answer("c 1", until="Why variation 1?")
        chooser.answer(CTRL_D, end="")
        chooser.screen.type(CTRL_D)
        assert chooser.screen.finish() == 0
        assert chooser.winner() == (None, None)


def test_a_window_that_changes_its_size_does_no_harm(stage: Stage, repository: Path) -> None:
    turns = {1: greets("Hi"), 2: greets("Howdy"), 3: greets("Hey")}
    with following(stage, repository, turns, until="variation", width=200) as chooser:
        for height, width in ((24, 80), (40, 120), (10, 30), (24, 80)):
            chooser.screen.resize(width, height)
        chooser.screen.read_until(ASKED)
        assert "Howdy" in chooser.answer("2")
        chooser.screen.resize(120, 40)
        chooser.answer("c 2", until="Why variation 2?")
        chooser.screen.type("\r")
        assert chooser.screen.finish() == 0
        assert "Traceback" not in plain(chooser.screen.output)
        assert chooser.winner() == (2, None)


def test_what_did_not_complete_is_looked_at_and_cannot_win(stage: Stage, two: Ended) -> None:
    with choosing(stage, two) as chooser:
        assert "Variation 3 failed (" in plain(chooser.screen.output)
        for command in ("c 3", "a 3"):
            assert "only a completed one can win" in chooser.answer(command)
        assert "Error: " not in chooser.answer("t 3").replace("error", "")
        assert chooser.winner() == (None, None)


def test_nobody_is_asked_where_nothing_completed(stage: Stage, repository: Path) -> None:
    said = "Error: Variation 1 failed"
    with following(stage, repository, {1: REFUSAL}, until=said) as chooser:
        assert chooser.screen.finish() == 1
        assert ASKED not in plain(chooser.screen.output)
    ended = Ended(chooser.run_id, repository)
    with choosing(stage, ended, until="Error: No variation of run_", width=200) as again:
        assert again.screen.finish() == 1
        assert ASKED not in plain(again.screen.output)


def test_a_run_that_goes_on_has_no_winner_to_be_asked_for(stage: Stage, repository: Path) -> None:
    stage.play({1: [[Text("Done.")]], 2: [[Text("Working."), Hang()]]})
    run_id = stage.gateway.create(github_url=repository.as_uri(), variations=2)
    for event in stage.gateway.stream(run_id):
        if event.event == "completion":
            break
    with choosing(stage, Ended(run_id, repository), until="is running: choose once") as chooser:
        assert chooser.screen.finish() == 1
    run_here("select", run_id, "1", *stage.data_dir, cwd=repository)
    assert chooser.winner() == (1, None)
    stage.gateway.http.post(f"/runs/{run_id}/cancel", json={})


def test_apply_puts_the_chosen_one_into_the_checkout_unless_it_has_changes(
    stage: Stage, repository: Path
) -> None:
    run_id = stage.run(repository, {1: greets("Hi"), 2: greets("Howdy")})
    with choosing(stage, Ended(run_id, repository)) as chooser:
        greet = chooser.repository / "greet.py"
        before = greet.read_text()
        greet.write_text(f"{before}# mine\n")
        assert "changes that are not committed" in chooser.answer("a 2")
        assert greet.read_text() == f"{before}# mine\n"
        greet.write_text(before)
        chooser.answer("a 2", until="Why variation 2?")
        chooser.screen.type("\r")
        assert chooser.screen.finish() == 0
        assert chooser.winner() == (2, None)
        assert greet.read_text() == before.replace("Hello", "Howdy")
        assert git(chooser.repository, "status", "--porcelain") == "M greet.py"


def test_show_goes_through_the_pager(stage: Stage, one: Ended, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    for what in ((), ("1",), ("1", "--patch"), ("1", "--transcript")):
        words = ("show", one.run_id, *what, *stage.data_dir)
        taken.unlink(missing_ok=True)
        with terminal(*words, cwd=tmp_path, PAGER=f"cat > {taken}") as screen:
            assert screen.finish() == 0
        expected = "Be friendlier." if not what else "Howdy"
        assert expected in plain(taken.read_bytes()), what
        assert expected not in plain(screen.output)
        # Piped, nothing is paged.
        done = run_here(*words, cwd=tmp_path, PAGER="exit 1")
        assert expected.encode() in done.stdout
