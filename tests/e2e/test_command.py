"""``run``, ``demo`` and ``scripted-model``, started as people start them."""

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from aideator.protocol import Condition, Status
from aideator_gateway.command.cli.demo import smallest
from aideator_gateway.runs.model import PatchStat, Variation
from aideator_gateway.scripted_model.script import Text
from tests.support.command import error_of, run, terminal
from tests.support.gateways import COMMAND, Gateway, environment
from tests.support.repositories import apply_patch
from tests.support.stage import Stage

FAST = "1000"
DEMO = ("--demo", "--backend", "local", "--demo-tokens-per-second", FAST)


def test_demo_does_the_whole_job_and_leaves_nothing(repository: Path, tmp_path: Path) -> None:
    temp = tmp_path / "temp"
    temp.mkdir()
    done = run(
        "demo",
        cwd=repository,
        TMPDIR=str(temp),
        HOME=str(tmp_path / "home"),
        AIDEATOR_DEMO_TOKENS_PER_SECOND="300",
    )
    out = done.stdout.decode()
    assert "not an LLM" in out
    for number in (1, 2, 3):
        assert f"[{number}] " in out
        assert f"── variation {number}: " in out
    assert out.count("diff --git ") >= 3
    assert re.search(r"^Winner: variation [123]\.$", out, re.MULTILINE)
    assert b"picks the smallest patch by lines added and removed: variation" in done.stderr
    # Nothing is kept, so nothing is named that could be asked for later.
    assert b"Nothing of this run is kept: with aideator demo --data-dir DIR it is" in done.stderr
    assert "run_" not in out + done.stderr.decode()
    assert "aideator show" not in out + done.stderr.decode()
    assert "aideator select" not in out + done.stderr.decode()
    assert list(temp.iterdir()) == []
    assert not (tmp_path / "home").exists()


def test_demo_needs_a_repository(tmp_path: Path) -> None:
    assert error_of("demo", cwd=tmp_path).startswith(". is not a Git repository")


def test_a_demo_that_is_kept_names_commands_that_work(repository: Path, tmp_path: Path) -> None:
    data = tmp_path / "da ta"
    with terminal(
        "demo", "-n", "1", "--data-dir", str(data), cwd=repository,
        AIDEATOR_DEMO_TOKENS_PER_SECOND=FAST,
    ) as shown:  # fmt: skip
        shown.read_until("Look or choose")
        shown.type("\r")
        assert shown.finish() == 0
    out = re.sub(r"\s+", " ", shown.output.decode())
    named = re.search(
        r"No winner is recorded: (aideator select run_\w+ N --data-dir .*?) does", out
    )
    assert named is not None
    words = [word if word != "N" else "1" for word in shlex.split(named[1])]
    assert run(*words[1:], cwd=tmp_path).stdout.startswith(b"Winner: variation 1")
    assert "Nothing of this run is kept" not in out


def test_the_smallest_patch_is_the_one_with_the_fewest_lines() -> None:
    def variation(number: int, *, insertions: int, deletions: int, size: int, files: int = 1,
                  truncated: bool = False) -> Variation:  # fmt: skip
        stat = PatchStat(
            bytes=size, files=files, insertions=insertions, deletions=deletions,
            truncated=truncated,
        )  # fmt: skip
        return Variation(
            variation_id=number, status=Status.COMPLETED, condition=Condition(), patch=stat
        )

    short_lines = variation(1, insertions=9, deletions=4, size=100)
    long_lines = variation(2, insertions=1, deletions=2, size=5000)
    same = variation(3, insertions=2, deletions=1, size=10)
    nothing = variation(4, insertions=0, deletions=0, size=0, files=0)
    too_large = variation(5, insertions=1, deletions=0, size=10**8, truncated=True)
    number, why = smallest([short_lines, long_lines, same, nothing, too_large])
    assert number == 2
    assert why.endswith("variation 2 (1: 13 lines, 2: 3 lines, 3: 3 lines)")
    assert smallest([nothing, too_large]) == (None, "picks none: no variation has a patch")


def test_demo_with_json_is_json_lines(repository: Path) -> None:
    done = run("demo", "--json", "-n", "1", cwd=repository, AIDEATOR_DEMO_TOKENS_PER_SECOND=FAST)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines[-1]["winning_variation_id"] == 1
    assert lines[-1]["scripted"] is True


def test_run_follows_a_local_repository(repository: Path, tmp_path: Path) -> None:
    (repository / "untracked.txt").write_text("not committed\n")
    done = run(
        "run", ".", "Improve it.", "-n", "1", *DEMO, cwd=repository,
        XDG_DATA_HOME=str(tmp_path / "share"),
    )  # fmt: skip
    assert b"uncommitted changes are not part of the run" in done.stderr
    assert b"No winner is recorded: aideator select run_" in done.stderr
    patch = done.stdout[done.stdout.index(b"diff --git ") :].strip() + b"\n"
    apply_patch(repository, patch, tmp_path / "checkout")
    data = tmp_path / "share" / "aideator"
    assert (data / "aideator.db").exists()
    # It is private, and nothing of the work is left in it.
    assert data.stat().st_mode & 0o777 == 0o700
    assert not (data / "work").exists()

    # Status, turn, tokens, cost and time.
    out = done.stdout.decode()
    assert "[1] turn 1 · " in out
    assert " tokens · no cost" in out
    (row,) = [line for line in out.splitlines() if line.startswith("1  completed ")]
    assert " no cost " in row
    assert " s  1 file, +" in row


def test_run_with_json_is_json_lines(
    repository: Path, tmp_path: Path, demo_gateway: Gateway
) -> None:
    done = run(
        "run", str(repository), "Improve it.", "-n", "2", "--json", cwd=tmp_path,
        AIDEATOR_DATA_DIR=str(demo_gateway.data_dir), AIDEATOR_DEMO="1",
    )  # fmt: skip
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["event"] for line in lines][-2:] == ["end", "run"]
    assert lines[-1]["status"] == "completed"
    assert {line.get("variation_id") for line in lines[:-2]} == {1, 2}


@pytest.mark.parametrize("how", ["-", "@prompt.md", "words"])
def test_the_prompt_is_an_argument_a_file_or_standard_input(
    repository: Path, tmp_path: Path, demo_gateway: Gateway, how: str
) -> None:
    (tmp_path / "prompt.md").write_text("Say grüß dich.\n")
    given = "Say grüß dich.\n" if how == "words" else how
    done = run(
        "run", str(repository), given, "-n", "1", "--demo", "--json",
        "--data-dir", str(demo_gateway.data_dir), cwd=tmp_path, stdin="Say grüß dich.\n".encode(),
    )  # fmt: skip
    assert json.loads(done.stdout.splitlines()[-1])["prompt"] == "Say grüß dich.\n"


def test_conditions_and_limits_are_what_the_run_has(
    repository: Path, tmp_path: Path, demo_gateway: Gateway
) -> None:
    (tmp_path / "careful.md").write_text("Read twice, edit once.\n")
    (tmp_path / "conditions.json").write_text(json.dumps([{"label": "from the file"}]))
    done = run(
        "run", str(repository), "x", "--demo", "--json", "--data-dir", str(demo_gateway.data_dir),
        "--conditions", "conditions.json",
        "--condition", "label=careful,instructions=@careful.md",
        "--condition", "label=one, two,temperature=0.5",
        "--max-turns", "7", "--max-seconds", "60.5", "--max-run-cost-usd", "2",
        cwd=tmp_path,
    )  # fmt: skip
    ended = json.loads(done.stdout.splitlines()[-1])
    found = [
        {key: value for key, value in v["condition"].items() if value is not None}
        for v in ended["variations"]
    ]
    assert found == [
        {"label": "from the file"},
        {"label": "careful", "instructions": "Read twice, edit once.\n"},
        {"label": "one, two", "temperature": 0.5},
    ]
    assert ended["limits"]["max_turns"] == 7
    assert ended["limits"]["max_seconds"] == 60.5
    assert ended["limits"]["max_run_cost_usd"] == 2


def test_a_running_gateway_carries_the_run_out(
    repository: Path, tmp_path: Path, stage: Stage
) -> None:
    stage.play(default=[[Text("Done.")]])
    done = run(
        "run", str(repository), "x", "-n", "2", "--model", "another-model", "--json",
        *stage.data_dir, cwd=tmp_path,
    )  # fmt: skip
    ended = json.loads(done.stdout.splitlines()[-1])
    assert stage.gateway.run(ended["run_id"])["status"] == "completed"
    asked = [one for one in stage.model.requests if one.run == ended["run_id"]]
    assert {request.body["model"] for request in asked} == {"another-model"}


def test_scripted_model_runs_alone(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [COMMAND, "scripted-model", "--port", "0"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert "not an LLM" in line
        port = line.rsplit(":", 1)[1].strip()
        assert "--port" in error_of("scripted-model", "--port", port, cwd=tmp_path)
    finally:
        process.terminate()
        process.wait(10)
        if process.stdout:
            process.stdout.close()


def test_output_that_takes_ascii_alone_ends_no_run(
    repository: Path, tmp_path: Path, demo_gateway: Gateway
) -> None:
    done = run(
        "run", str(repository), "x", "-n", "1", "--demo",
        "--data-dir", str(demo_gateway.data_dir), cwd=tmp_path,
        PYTHONIOENCODING="ascii", PYTHONUTF8="0", LC_ALL="C",
    )  # fmt: skip
    assert b"\\u2192 list_files" in done.stdout
