"""The command, started as people start it."""

import json
import subprocess
from pathlib import Path

from tests.support.gateways import COMMAND, environment
from tests.support.repositories import apply_patch


def run(
    *words: str, cwd: Path, expect: int = 0, **settings: str
) -> subprocess.CompletedProcess[bytes]:
    done = subprocess.run(
        [COMMAND, *words],
        cwd=cwd,
        env=environment(**settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == expect, done.stderr.decode()
    assert b"Traceback" not in done.stderr
    return done


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
    assert "Winner: variation" in out
    assert b"picks the smallest patch" in done.stderr
    assert list(temp.iterdir()) == []
    assert not (tmp_path / "home").exists()


def test_demo_needs_a_repository(tmp_path: Path) -> None:
    done = run("demo", cwd=tmp_path, expect=1)
    assert done.stderr.decode() == "Error: . is not a Git repository.\n"


def test_run_follows_a_local_repository(repository: Path, tmp_path: Path) -> None:
    (repository / "untracked.txt").write_text("not committed\n")
    done = run(
        "run", ".", "Improve it.", "-n", "1", "--demo", "--backend", "local",
        cwd=repository, XDG_DATA_HOME=str(tmp_path / "share"),
        AIDEATOR_DEMO_TOKENS_PER_SECOND="500",
    )  # fmt: skip
    assert b"uncommitted changes are not part of the run" in done.stderr
    patch = done.stdout[done.stdout.index(b"diff --git ") :].strip() + b"\n"
    apply_patch(repository, patch, tmp_path / "checkout")
    assert (tmp_path / "share" / "aideator" / "aideator.db").exists()


def test_run_with_json_is_json_lines(repository: Path, tmp_path: Path) -> None:
    done = run(
        "run", str(repository), "Improve it.", "-n", "2", "--demo", "--backend", "local", "--json",
        cwd=tmp_path, AIDEATOR_DATA_DIR=str(tmp_path / "data"),
        AIDEATOR_DEMO_TOKENS_PER_SECOND="500",
    )  # fmt: skip
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["event"] for line in lines][-2:] == ["end", "run"]
    assert lines[-1]["status"] == "completed"
    assert {line.get("variation_id") for line in lines[:-2]} == {1, 2}


def test_a_run_that_fails_says_why(tmp_path: Path) -> None:
    done = run(
        "run", "file:///nowhere/at/all", "Improve it.", "--demo", "--backend", "local",
        "--allow-file", "--data-dir", str(tmp_path / "data"), cwd=tmp_path, expect=1,
    )  # fmt: skip
    assert b"There is no repository to be read at file:///nowhere/at/all" in done.stdout


def test_a_refused_url_is_one_line(tmp_path: Path) -> None:
    done = run(
        "run", "git@github.com:user/repo", "Improve it.", "--demo", "--backend", "local",
        "--data-dir", str(tmp_path / "data"), cwd=tmp_path, expect=1,
    )  # fmt: skip
    assert len(done.stderr.splitlines()) == 1
    assert b"https://host/owner/repository" in done.stderr


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
        assert "not an LLM" in line or "not an LLM" in process.stdout.readline()
    finally:
        process.terminate()
        process.wait(10)
        if process.stdout:
            process.stdout.close()


def test_the_data_directory_is_private(repository: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    run(
        "run", str(repository), "x", "-n", "1", "--demo", "--backend", "local", "--data-dir",
        str(data), cwd=tmp_path, AIDEATOR_DEMO_TOKENS_PER_SECOND="500",
    )  # fmt: skip
    assert data.stat().st_mode & 0o777 == 0o700
    assert not (data / "work").exists()
