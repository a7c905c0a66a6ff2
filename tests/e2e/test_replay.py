"""``replay``, and a recorded run played back as a model."""

import json
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from aideator_gateway.scripted_model.script import Reply, Text, ToolUse
from tests.support.command import error_of, run, run_here, terminal
from tests.support.forked import serving
from tests.support.gateways import COMMAND, environment
from tests.support.repositories import make_repository
from tests.support.stage import Stage
from tests.tasks.steps import create

SECONDS = 1.5
"""How long variation 1 speaks, at least."""


@dataclass
class Recorded:
    """A finished run with two variations, and the transcripts of both."""

    data: Path
    repository: Path
    run_id: str
    transcripts: tuple[Path, Path]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory, stage: Stage) -> Recorded:
    base = tmp_path_factory.mktemp("recorded")
    repository = make_repository(base / "repository")
    turns: dict[int, list[Reply]] = {
        1: [
            [Text("slow " * 30, pace=SECONDS / 30), create("a.txt", "first\n")],
            [Text("Done by one.")],
        ],
        2: [[ToolUse("list_files", {})], [Text("\x1b[31mDone by two.")]],
    }
    labels = [{"label": "left"}, {"label": "right"}]
    run_id = stage.run(repository, turns, conditions=labels)
    paths = (base / "1.jsonl", base / "2.jsonl")
    for number, path in enumerate(paths, start=1):
        answer = stage.gateway.http.get(f"/runs/{run_id}/variations/{number}/transcript")
        path.write_bytes(answer.content)
    return Recorded(stage.gateway.data_dir, repository, run_id, paths)


def test_a_file_is_shown_as_the_run_was(recorded: Recorded, tmp_path: Path) -> None:
    done = run("replay", str(recorded.transcripts[0]), "--speed", "0", cwd=tmp_path)
    out = done.stdout.decode()
    assert out.startswith(f"Replay of {recorded.transcripts[0]}: 1 variation\n")
    for line in (
        "[1] → create a.txt", "[1] Done by one.", "[1] patch: 1 file, +1 -0",
        "[1] completed (end_turn): 2 turns, ", "── variation 1: 1 file, +1 -0",
    ):  # fmt: skip
        assert line in out
    patch = run_here(
        "show", recorded.run_id, "1", "--patch", "--data-dir", str(recorded.data), cwd=tmp_path
    ).stdout
    assert done.stdout.endswith(patch)
    assert done.stderr == b""


def test_a_run_is_shown_with_its_labels_and_two_files_as_one(
    recorded: Recorded, tmp_path: Path
) -> None:
    words = ("replay", recorded.run_id, "--speed", "0", "--data-dir", str(recorded.data))
    out = run_here(*words, cwd=tmp_path).stdout.decode()
    assert "[1 left] Done by one." in out
    # What an agent says is no command to the terminal, then as now.
    assert "[2 right] \\x1b[31mDone by two." in out
    only = run_here(*words[:2], "2", *words[2:], cwd=tmp_path).stdout.decode()
    assert "[2 right] " in only
    assert "[1 left] " not in only
    both = b"".join(path.read_bytes() for path in recorded.transcripts)
    piped = run_here("replay", "-", "--speed", "0", cwd=tmp_path, stdin=both).stdout.decode()
    assert piped.startswith("Replay of standard input: 2 variations\n")
    assert piped.index("[2] \\x1b[31mDone by two.") < piped.index("[1] Done by one.")


def test_the_pace_is_that_of_the_run_or_a_multiple(recorded: Recorded, tmp_path: Path) -> None:
    lines = [json.loads(line) for line in recorded.transcripts[0].read_bytes().splitlines()]
    took = lines[-1]["time"] - lines[0]["time"]
    assert took > SECONDS

    def seconds(speed: str) -> float:
        started = time.monotonic()
        run("replay", str(recorded.transcripts[0]), "--speed", speed, cwd=tmp_path)
        return time.monotonic() - started

    slow = seconds("0.5")
    assert slow >= took * 2
    assert seconds("100") < slow


def test_on_a_terminal_it_is_live_and_ctrl_c_ends_it(recorded: Recorded, tmp_path: Path) -> None:
    slow = ("--speed", "0.05")
    with terminal("replay", str(recorded.transcripts[0]), *slow, cwd=tmp_path) as shown:
        shown.read_until("The agent starts.")
        assert b"Done by one." not in shown.output
        shown.type("\x03")
        assert shown.finish() == 130
    wide = ("replay", recorded.run_id, "--speed", "0", "--data-dir", str(recorded.data))
    with terminal(*wide, cwd=tmp_path, width=160) as shown:
        assert shown.finish() == 0
    assert b"variation 1 (left)" in shown.output
    assert b"variation 2 (right)" in shown.output


def test_what_is_no_transcript_is_said(recorded: Recorded, tmp_path: Path) -> None:
    (tmp_path / "other.txt").write_text("hello\n")
    error = error_of("replay", "other.txt", cwd=tmp_path, here=True)
    assert error.startswith("other.txt holds no events of an agent: give a transcript")
    assert "aideator list" in error_of(
        "replay", "missing.jsonl", "--data-dir", str(recorded.data), cwd=tmp_path, here=True
    )
    lines = recorded.transcripts[1].read_bytes().splitlines(keepends=True)
    (tmp_path / "cut.jsonl").write_bytes(b"noise\n\n" + b"".join(lines[:-1]) + lines[-1][:20])
    done = run_here("replay", "cut.jsonl", "--speed", "0", cwd=tmp_path)
    assert done.stderr.decode().splitlines() == [
        "Note: the transcript of variation 2 has no end.",
        "Note: 2 lines left out that no event is in.",
    ]


def test_of_several_attempts_the_last_is_shown_and_doubled_lines_once(
    recorded: Recorded, tmp_path: Path
) -> None:
    lines = [json.loads(line) for line in recorded.transcripts[1].read_bytes().splitlines()]
    again: list[dict[str, Any]] = [{**line, "attempt": 2} for line in lines]
    for line in again:
        if line["type"] == "text":
            line["text"] = line["text"].replace("two", "three")
    file = tmp_path / "both.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in [*again, *lines, *again]))
    out = run_here("replay", str(file), "--speed", "0", cwd=tmp_path).stdout.decode()
    assert out.count("Done by three.") == 1
    assert "Done by two." not in out


def test_a_real_run_becomes_a_test(recorded: Recorded, tmp_path: Path) -> None:
    """As docs/transcript.md tells it: the recorded model, today's agent, the same patch."""
    model = subprocess.Popen(
        [COMMAND, "scripted-model", "--port", "0", "--play", str(recorded.transcripts[0])],
        cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True,
    )  # fmt: skip
    try:
        assert model.stdout is not None
        line = model.stdout.readline()
        assert f"Playback of {recorded.transcripts[0]}, not an LLM" in line
        url = line.split()[-1]
        with serving(
            tmp_path / "data", "--backend", "local", "--allow-file", "--base-url", url,
            AIDEATOR_API_KEY="key",
        ) as gateway:  # fmt: skip
            run_id = gateway.create(github_url=recorded.repository.as_uri(), variations=1)
            (variation,) = gateway.finish(run_id)["variations"]
            patch = gateway.http.get(f"/runs/{run_id}/variations/1/patch").content
    finally:
        model.send_signal(signal.SIGTERM)
        model.wait(10)
        if model.stdout:
            model.stdout.close()
    assert variation["stop_reason"] == "end_turn"
    before = run_here(
        "show", recorded.run_id, "1", "--patch", "--data-dir", str(recorded.data), cwd=tmp_path
    ).stdout
    assert patch == before != b""


def test_what_cannot_be_played_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("\n")
    words = ("scripted-model", "--port", "0", "--play")
    error = error_of(*words, "empty.jsonl", cwd=tmp_path, expect=2, here=True)
    assert error == (
        "Invalid value for --play: The transcript has no turn of a model to play back."
    )
    assert "does not exist" in error_of(*words, "missing.jsonl", cwd=tmp_path, expect=2, here=True)
