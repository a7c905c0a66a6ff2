"""``list``, ``show``, ``select``, ``apply``, ``cancel``: what comes after a run."""

import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from aideator_gateway.scripted_model.script import Hang, Reply, Text, ToolUse
from tests.support.command import error_of, run, run_here
from tests.support.repositories import ENVIRONMENT, git, make_repository
from tests.support.stage import Stage, staged

EDITOR = "str_replace_based_edit_tool"
LATIN = "caf\xe9\n".encode("latin-1")


@dataclass
class Done:
    """A finished run: variation 1 changed a file, 2 added one, 3 left all as it was."""

    data: Path
    repository: Path
    run_id: str


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Done]:
    base = tmp_path_factory.mktemp("done")
    repository = make_repository(base / "repository")
    change = {"command": "str_replace", "path": "greet.py", "old_str": "Hello", "new_str": "Howdy"}
    create = {"command": "create", "path": "docs/new.md", "file_text": "# New\n"}
    turns: dict[int, list[Reply]] = {
        1: [[ToolUse(EDITOR, change)], [Text("Changed.")]],
        2: [[ToolUse(EDITOR, create)], [Text("Added.")]],
        3: [[Text("Nothing to do.")]],
    }
    # The only run there is: the newest, and all.
    with staged(base / "data") as stage:
        run_id = stage.run(repository, turns, prompt="Be friendlier.")
        yield Done(base / "data", repository, run_id)


def call(done: Done, *words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[bytes]:
    return run_here(*words, "--data-dir", str(done.data), cwd=cwd or done.repository)


def fail(done: Done, *words: str, cwd: Path | None = None, expect: int = 1) -> str:
    words = (*words, "--data-dir", str(done.data))
    return error_of(*words, cwd=cwd or done.repository, expect=expect, here=True)


def clone_of(done: Done, path: Path) -> Path:
    subprocess.run(
        ["git", "clone", "--quiet", str(done.repository), str(path)], check=True, env=ENVIRONMENT
    )
    return path


def test_list_is_a_table_or_json(done: Done) -> None:
    out = call(done, "list").stdout.decode().splitlines()
    assert out[0].split() == ["run", "started", "status", "winner", "repository", "prompt"]
    assert out[1].startswith(done.run_id)
    assert "Be friendlier." in out[1]
    (found,) = json.loads(call(done, "list", "--json").stdout)
    assert (found["run_id"], found["status"]) == (done.run_id, "completed")


def test_list_without_runs_says_what_to_do(tmp_path: Path) -> None:
    empty = run("list", "--data-dir", str(tmp_path / "data"), cwd=tmp_path)
    assert (empty.stdout, empty.stderr) == (
        b"",
        b"There are no runs yet: aideator run starts one.\n",
    )
    assert run("list", "--json", "--data-dir", "data", cwd=tmp_path).stdout == b"[]\n"


@pytest.mark.parametrize("how", ["nothing", "latest", "whole", "prefix", "digits"])
def test_a_run_is_named_in_full_in_part_or_not_at_all(done: Done, how: str) -> None:
    words = {
        "nothing": [],
        "latest": ["latest"],
        "whole": [done.run_id],
        "prefix": [done.run_id[:9]],
        "digits": [done.run_id[4:10]],
    }[how]
    out = call(done, "show", *words).stdout.decode()
    assert out.startswith(f"{done.run_id}: ")
    assert "Be friendlier." in out
    assert "1 file, +1 -1" in out
    assert "no change" in out


def test_a_run_as_json(done: Done) -> None:
    assert json.loads(call(done, "show", "--json").stdout)["run_id"] == done.run_id
    assert json.loads(call(done, "show", "2", "--json").stdout)["variation_id"] == 2


def test_a_run_that_is_not_there_or_not_one(done: Done, tmp_path: Path) -> None:
    assert "aideator list" in fail(done, "show", "zzz")
    said = fail(done, "show", "run_0123456789abcdef")
    assert said.startswith("There is no run run_0123456789abcdef: aideator list")
    assert "variations 1 to 3" in fail(done, "show", "7")
    assert "Give a run, a variation" in fail(done, "show", "latest", "two", expect=2)
    said = error_of("show", "--data-dir", str(tmp_path / "none"), cwd=tmp_path)
    assert said == "There are no runs yet: aideator run starts one."


def test_a_start_that_two_runs_have_is_not_enough(stage: Stage, tmp_path: Path) -> None:
    # What cannot be cloned ends at once.
    for _ in range(2):
        stage.run(tmp_path / "nowhere", {1: []})
    count = len(stage.gateway.http.get("/runs", params={"limit": 100}).json()["runs"])
    said = error_of("show", "run_", *stage.data_dir, cwd=tmp_path)
    assert f"the start of {count} runs" in said


def test_show_of_a_variation_has_its_patch(done: Done) -> None:
    out = call(done, "show", "1").stdout.decode()
    assert "Changed." in out
    assert "── variation 1: 1 file, +1 -1" in out
    assert '+    return "Howdy, " + name' in out


def test_a_patch_alone_is_to_the_byte_and_applies(done: Done, tmp_path: Path) -> None:
    words = ("show", done.run_id, "1", "--patch")
    patch = call(done, *words).stdout
    # A process of its own writes the same.
    assert run(*words, "--data-dir", str(done.data), cwd=tmp_path).stdout == patch
    checkout = clone_of(done, tmp_path / "checkout")
    git(checkout, "apply", "-", stdin=patch)
    assert "Howdy" in (checkout / "greet.py").read_text()


def test_a_patch_in_another_encoding_is_to_the_byte(stage: Stage, tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repository")
    (repository / "latin.txt").write_bytes(LATIN + b"x\n")
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--message=Latin")
    edit = {"command": "insert", "path": "latin.txt", "insert_line": 2, "insert_text": "y\n"}
    stage.play({1: [[ToolUse(EDITOR, edit)], [Text("Done.")]]})
    followed = run("run", ".", tmp_path.name, "-n", "1", *stage.data_dir, cwd=repository)
    run_id = stage.found(tmp_path.name)["run_id"]
    patch = run("show", run_id, "1", "--patch", *stage.data_dir, cwd=tmp_path).stdout
    assert LATIN in patch
    assert patch in followed.stdout


def test_a_transcript_is_json_lines(done: Done) -> None:
    lines = call(done, "show", "2", "--transcript").stdout.splitlines()
    assert [json.loads(line)["type"] for line in lines][-2:] == ["patch", "completed"]


def test_select_apply_and_what_is_refused(done: Done, tmp_path: Path) -> None:
    checkout = clone_of(done, tmp_path / "checkout")
    said = fail(done, "apply", cwd=checkout)
    assert said.startswith("There is no run of this repository with a winner")
    assert f"aideator select {done.run_id} N" in said
    assert "no winner" in fail(done, "apply", done.run_id, cwd=checkout)
    assert "Say which variation wins" in fail(done, "select", "latest", expect=2)
    assert "variations 1 to 3" in fail(done, "select", "5")
    call(done, "select", "2")
    out = call(done, "select", done.run_id, "1", "--reason", "It is friendlier.").stdout
    assert out.decode() == f"Winner: variation 1, recorded for {done.run_id}.\n"
    shown = json.loads(call(done, "show", "--json").stdout)
    assert shown["winning_variation_id"] == 1
    assert [s["variation_id"] for s in shown["selections"]] == [2, 1]
    assert "It is friendlier." in call(done, "show").stdout.decode()

    # From a subdirectory, the whole patch still goes in.
    said = call(done, "apply", cwd=checkout / "docs").stdout.decode()
    assert said.startswith(f"Applied variation 1 of {done.run_id} to {checkout}: 1 file, +1 -1.")
    assert git(checkout, "status", "--porcelain") == "M greet.py"
    assert "Howdy" in (checkout / "greet.py").read_text()

    dirty = fail(done, "apply", cwd=checkout)
    assert "changes that are not committed" in dirty
    assert "git stash" in dirty
    git(checkout, "checkout", "--", ".")
    (checkout / "untracked.txt").write_text("in nobody's way\n")
    call(done, "apply", done.run_id, "2", "--into", str(checkout), cwd=tmp_path)
    assert (checkout / "docs/new.md").read_text() == "# New\n"
    assert "changed nothing" in fail(done, "apply", "3", cwd=checkout)


def test_a_patch_that_does_not_fit_is_refused_with_gits_reason(done: Done, tmp_path: Path) -> None:
    checkout = clone_of(done, tmp_path / "checkout")
    # What git would overwrite is in the way, tracked or not.
    (checkout / "docs/new.md").write_text("mine\n")
    said = fail(done, "apply", "2", cwd=checkout)
    assert "docs/new.md: already exists in working directory" in said
    assert (checkout / "docs/new.md").read_text() == "mine\n"
    (checkout / "docs/new.md").unlink()

    greet = (checkout / "greet.py").read_text()
    (checkout / "greet.py").write_text(greet.replace("Hello", "Good day"))
    git(checkout, "commit", "--quiet", "--all", "--message=Third")
    said = fail(done, "apply", "1", cwd=checkout)
    assert "patch does not apply" in said
    assert "--3way" in said
    assert git(checkout, "status", "--porcelain") == ""
    said = fail(done, "apply", "1", "--3way", cwd=checkout)
    assert "with conflicts" in said
    assert "git reset --hard" in said
    assert "<<<<<<<" in (checkout / "greet.py").read_text()


def test_a_three_way_merge_puts_in_what_moved(done: Done, tmp_path: Path) -> None:
    checkout = clone_of(done, tmp_path / "checkout")
    greet = (checkout / "greet.py").read_text()
    (checkout / "greet.py").write_text("# A header\n" * 9 + greet.replace("world", "all"))
    git(checkout, "commit", "--quiet", "--all", "--message=Third")
    assert "patch does not apply" in fail(done, "apply", "1", cwd=checkout)
    call(done, "apply", "1", "--3way", cwd=checkout)
    assert "Howdy" in (checkout / "greet.py").read_text()


def test_apply_refuses_another_repository_and_no_repository(done: Done, tmp_path: Path) -> None:
    other = make_repository(tmp_path / "other", {"other.txt": "x\n"})
    said = fail(done, "apply", done.run_id, "2", cwd=other)
    assert "does not have commit" in said
    assert "git fetch origin" in said
    assert not (other / "docs").exists()
    (tmp_path / "plain").mkdir()
    assert "is not a Git repository" in fail(done, "apply", "2", cwd=tmp_path / "plain")


def test_cancel_ends_the_newest_active_run(repository: Path, stage: Stage, tmp_path: Path) -> None:
    assert error_of("cancel", *stage.data_dir, cwd=tmp_path) == "No run is active."
    stage.play(default=[[Text("Wait."), Hang()]])
    run_id = stage.gateway.create(github_url=repository.as_uri(), variations=1)
    while stage.gateway.run(run_id)["status"] != "running":
        time.sleep(0.05)
    out = run("cancel", *stage.data_dir, cwd=tmp_path).stdout.decode()
    assert out == f"{run_id} is cancelled.\n"
    assert stage.gateway.run(run_id)["status"] == "cancelled"
    out = run("cancel", run_id, *stage.data_dir, cwd=tmp_path).stdout.decode()
    assert out == f"{run_id} had ended already: it is cancelled.\n"


def test_cancel_needs_a_gateway(tmp_path: Path) -> None:
    said = error_of("cancel", "--data-dir", str(tmp_path / "data"), cwd=tmp_path)
    assert "No gateway runs on the data directory" in said
    assert "--data-dir" in said
