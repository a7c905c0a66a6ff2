"""What a model, a repository or a server says never commands a terminal, whatever prints it."""

import json
import logging
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from aideator_gateway.command import cli
from aideator_gateway.command.cli.output import Notes
from aideator_gateway.printable import printable
from aideator_gateway.scripted_model.script import HttpError, Reply, Text, Thinking, ToolUse
from aideator_gateway.scripted_model.server import Script, ScriptedModel
from tests.support.command import run, terminal
from tests.support.forked import serving
from tests.support.gateways import Gateway
from tests.support.repositories import ENVIRONMENT, make_repository

EDITOR = "str_replace_based_edit_tool"

CONTROLS = "".join(map(chr, (*range(1, 9), *range(11, 32), *range(0x7F, 0xA0))))
DECEPTIVE = (
    "\u00ad\u034f\u061c\u115f\u1160\u180e\u200b\u200c\u200d\u200e\u200f\u2028\u2029"
    "\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\u3164\ufe00\ufeff\uffa0"
    "\U000e0001\U000e0041\U000e0100"
)
HOSTILE = f"\x1b]0;owned\x07\x1b[2J\x9b2J\rRETURN {CONTROLS}{DECEPTIVE} end"
SHORT = "\x1b[2J\x9b2J\u202efel\u2066 \u2028\x7f"
"""For what has a length of its own."""

OURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
"""What rich sends to set colours and to draw anew."""


def check(output: bytes) -> str:
    """Assert that nothing of ours to fear is in the bytes that a terminal got."""
    for said in (b"\x1b]", b"\x1b[2J", b"\rRETURN"):
        assert said not in output
    plain = OURS.sub("", output.decode())
    found = set(plain) & (set(CONTROLS) | set(DECEPTIVE))
    # A terminal's own lines end so, and drawing anew begins at the start of a line.
    assert found <= {"\r"}, [hex(ord(character)) for character in found]
    return plain


@dataclass
class Done:
    """A run that ended, on a gateway that goes on: one completed, one failed."""

    gateway: Gateway
    repository: Path
    run_id: str


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Done]:
    base = tmp_path_factory.mktemp("hostile")
    repository = make_repository(
        base / f"re{SHORT}po", {"README.md": "x\n", f"has{SHORT}.txt": f"{HOSTILE}\n"}
    )
    create = {"command": "create", "path": f"new{SHORT}.txt", "file_text": f"{HOSTILE}\n"}
    shout = {"command": f"a\n[2] completed{HOSTILE}", "path": HOSTILE}
    turns: list[Reply] = [
        [
            Thinking(HOSTILE),
            Text([HOSTILE, "\n"]),
            ToolUse(EDITOR, create),
            ToolUse(EDITOR, shout),
            ToolUse("list_files", {"path": HOSTILE}),
        ],
        [Text(f"Done. {HOSTILE}\n[2] more")],
    ]
    refusal: Reply = [HttpError(400, "invalid_request_error", f"Refused {HOSTILE}")]
    # For the fixture's own run, and for each width.
    script = Script({1: turns * 4, 2: [refusal] * 4})
    with (
        ScriptedModel(script) as model,
        serving(
            base / "data", "--backend", "local", "--allow-file", "--base-url", model.base_url,
            AIDEATOR_API_KEY="key",
        ) as gateway,
    ):  # fmt: skip
        run_id = gateway.create(
            github_url=repository.as_uri(),
            prompt=HOSTILE,
            conditions=[
                {"label": f"one{SHORT}", "instructions": HOSTILE},
                {"label": f"two\n{SHORT}", "model": f"m{SHORT}"},
            ],
        )
        assert gateway.finish(run_id)["status"] == "completed"
        yield Done(gateway, repository, run_id)


def shown(done: Done, *words: str, expect: int = 0, width: int = 100) -> str:
    data = ("--data-dir", str(done.gateway.data_dir))
    # A pager that passes on all that it is given.
    with terminal(*words, *data, cwd=done.repository, width=width, PAGER="cat -") as screen:
        assert screen.finish() == expect, screen.output
    return check(screen.output)


@pytest.mark.parametrize("width", [60, 100, 200])
def test_a_run_as_it_goes_on(done: Done, width: int) -> None:
    words = (
        "run", ".", HOSTILE, "--condition", f"label=one{SHORT}", "--condition",
        f"label=two{SHORT},model=m{SHORT}", "--data-dir", str(done.gateway.data_dir),
    )  # fmt: skip
    with terminal(*words, cwd=done.repository, width=width, PAGER="cat -") as screen:
        screen.read_until("Look or choose")
        screen.type("v 1\rc 1\r")
        screen.read_until("Why variation 1?")
        screen.type("\r")
        assert screen.finish() == 0
    plain = check(screen.output)
    assert r"\u009b" in plain
    assert "── variation 1" in plain


def test_what_is_shown_afterwards(done: Done) -> None:
    shown(done, "select", done.run_id, "1", "--reason", HOSTILE)
    for words in (
        ("list",),
        ("show", done.run_id),
        ("show", done.run_id, "1"),
        ("show", done.run_id, "2"),
        ("show", done.run_id, "1", "--patch"),
        ("replay", done.run_id, "1", "--speed", "0"),
    ):
        assert r"\u009b2J" in shown(done, *words), words
    assert r"\u009b2J" in shown(done, "replay", done.run_id, "--speed", "0", width=200)


def test_no_line_can_be_made_to_look_like_anothers(done: Done) -> None:
    # As narrow as this, there are lines.
    plain = shown(done, "replay", done.run_id, "--speed", "0", width=38)
    assert "[1 one" in plain
    assert [line for line in plain.splitlines() if line.startswith("[2] completed")] == []


def test_json_stays_json(done: Done) -> None:
    for words in (("list", "--json"), ("show", done.run_id, "--json"), ("config", "--json")):
        assert json.loads(shown(done, *words, width=100))
    assert json.loads(shown(done, "show", done.run_id, "--json"))["prompt"] == HOSTILE


def test_a_transcript_is_shown_on_a_terminal_and_to_the_byte_in_a_pipe(
    done: Done, tmp_path: Path
) -> None:
    words = ("show", done.run_id, "1", "--transcript")
    assert r"\u009b" in shown(done, *words)
    piped = run(*words, "--data-dir", str(done.gateway.data_dir), cwd=tmp_path).stdout
    path = f"/runs/{done.run_id}/variations/1/transcript"
    assert piped == done.gateway.http.get(path).content
    lines = [json.dumps(json.loads(line), ensure_ascii=False) for line in piped.splitlines()]
    assert "\x9b" in "".join(lines)
    file = tmp_path / f"x{SHORT}.jsonl"
    file.write_bytes(piped)
    assert r"\u009b" in shown(done, "replay", str(file), "--speed", "0")


def test_a_patch_in_a_pipe_is_to_the_byte(done: Done, tmp_path: Path) -> None:
    words = ("show", done.run_id, "1", "--patch", "--data-dir", str(done.gateway.data_dir))
    piped = run(*words, cwd=tmp_path).stdout
    assert piped == done.gateway.http.get(f"/runs/{done.run_id}/variations/1/patch").content
    assert HOSTILE.encode() in piped


def test_applying_and_what_git_says_against_it(done: Done, tmp_path: Path) -> None:
    checkout = tmp_path / f"check{SHORT}out"
    subprocess.run(
        ["git", "clone", "--quiet", str(done.repository), str(checkout)],
        check=True, env=ENVIRONMENT,
    )  # fmt: skip
    words = ("apply", done.run_id, "1", "--into", str(checkout))
    assert "Applied variation 1" in shown(done, *words)
    assert "was not applied cleanly" in shown(done, *words, expect=1)


@pytest.mark.parametrize(
    "words",
    [
        ("run", f"/no{SHORT}where", "x"),
        ("run", f"https://{SHORT}/a/b", "x"),
        ("run", ".", f"@{SHORT}"),
        ("run", ".", "x", "--ref", SHORT),
        ("show", SHORT),
        ("fly" + SHORT,),
        ("config", "--base-url", HOSTILE),
    ],
)
def test_what_is_said_of_what_was_asked_for(done: Done, words: tuple[str, ...]) -> None:
    with terminal(*words, "--data-dir", str(done.gateway.data_dir), cwd=done.repository) as screen:
        screen.finish()
    check(screen.output)


def test_what_a_shell_offers(done: Done) -> None:
    with terminal(
        cwd=done.repository, AIDEATOR_DATA_DIR=str(done.gateway.data_dir),
        _AIDEATOR_COMPLETE="zsh_complete", COMP_WORDS="aideator show ", COMP_CWORD="2",
    ) as screen:  # fmt: skip
        screen.finish()
    assert r"\u009b2J" in check(screen.output)


def test_the_log_of_a_gateway() -> None:
    record = logging.LogRecord("x", logging.INFO, "", 0, "git said %s", (HOSTILE,), None)
    assert Notes("Note: %(message)s").format(record) == f"Note: git said {printable(HOSTILE)}"
    check(printable(HOSTILE).encode())


def test_other_scripts_and_emoji_are_left_as_they_are() -> None:
    text = "naïve Grüße 你好 \u05e9\u05dc\u05d5\u05dd नमस्ते \u26a0\ufe0f 🎉 →\tx\n\u00a0y"
    assert printable(text) == text


def test_words_are_printed_in_one_place_alone() -> None:
    command = Path(cli.__file__).parent.parent
    found = {
        file.name: file.read_text().count("click.echo(") for file in sorted(command.rglob("*.py"))
    }
    assert {name: count for name, count in found.items() if count} == {
        "output.py": 2,  # words, and JSON
        "connect.py": 2,  # the line that says what is waited for, and its end
        "progress_line.py": 2,  # the line that changes, and its end
        "config.py": 1,  # what a shell reads, written by click
    }
