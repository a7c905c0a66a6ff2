"""``diff``: the files that attempts made are compared, and it says so where it cannot be."""

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

from aideator_gateway.command.cli import cli
from aideator_gateway.command.cli.difference import _Made
from aideator_gateway.runs.model import Run
from aideator_gateway.scripted_model.script import Reply, Text, ToolUse
from tests.support.command import error_of, run, run_here
from tests.support.https_git import Certificate, GitServer
from tests.support.repositories import ENVIRONMENT, git, make_repository
from tests.support.stage import Stage, staged

EDITOR = "str_replace_based_edit_tool"
LATIN = "caf\xe9\n".encode("latin-1")


@dataclass
class Done:
    """A run whose variations 1 and 2 are the same, 3 is another, and 4 changed nothing."""

    stage: Stage
    repository: Path
    run_id: str

    @property
    def data(self) -> Path:
        return self.stage.gateway.data_dir


def edit(old: str, new: str) -> ToolUse:
    return ToolUse(
        EDITOR, {"command": "str_replace", "path": "greet.py", "old_str": old, "new_str": new}
    )


def insert(path: str, line: int, text: str) -> ToolUse:
    call = {"command": "insert", "path": path, "insert_line": line, "insert_text": text}
    return ToolUse(EDITOR, call)


@pytest.fixture(scope="module")
def done(
    tmp_path_factory: pytest.TempPathFactory, git_servers: list[GitServer], certificate: Certificate
) -> Iterator[Done]:
    base = tmp_path_factory.mktemp("diff")
    repository = make_repository(base / "repository")
    (repository / "latin.txt").write_bytes(LATIN + b"x\n")
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--message=Latin")
    howdy: list[Reply] = [[edit("Hello", "Howdy")], [Text("Done.")]]
    turns: dict[int, list[Reply]] = {
        1: howdy,
        2: howdy,
        3: [[edit("Hello", "Howdy"), insert("latin.txt", 2, "y\n")], [Text("Done.")]],
        4: [[Text("Nothing to do.")]],
    }
    trust = {
        "GIT_SSL_CAINFO": str(certificate.authority), "AIDEATOR_ALLOW_HOST": git_servers[0].host
    }  # fmt: skip
    with staged(base / "data", **trust) as stage:
        yield Done(stage, repository, stage.run(repository, turns))


def call(
    done: Done, *words: str, cwd: Path | None = None, config: Path = Path(os.devnull)
) -> subprocess.CompletedProcess[bytes]:
    words = ("diff", *words, "--data-dir", str(done.data))
    return run_here(*words, cwd=cwd or done.repository, GIT_CONFIG_GLOBAL=str(config))


def everything_in(path: Path) -> dict[Path, float]:
    return {file: file.lstat().st_mtime for file in path.rglob("*")}


def test_one_attempt_is_its_patch_to_the_byte(done: Done) -> None:
    words = ("show", done.run_id, "3", "--patch", "--data-dir", str(done.data))
    patch = run_here(*words, cwd=done.repository).stdout
    assert LATIN in patch
    assert call(done, "3").stdout == patch
    # A process of its own writes the same.
    assert run("diff", "3", "--data-dir", str(done.data), cwd=done.repository).stdout == patch
    assert call(done, "latest", "3").stdout == patch
    nothing = call(done, "4")
    assert (nothing.stdout, nothing.stderr) == (b"", b"Variation 4 changed nothing.\n")


def test_two_attempts_are_compared_by_their_files_and_nothing_is_written(
    done: Done, tmp_path: Path
) -> None:
    before = everything_in(done.repository)
    found = call(done, done.run_id, "1", "3")
    # Only what one has and the other has not: what both did to greet.py is no difference.
    assert b"greet.py" not in found.stdout
    assert LATIN + b" x\n+y\n" in found.stdout
    assert found.stderr == b""
    assert everything_in(done.repository) == before

    # It leads from the one's files to the other's.
    checkout = tmp_path / "checkout"
    git(done.repository, "clone", "--quiet", ".", str(checkout))
    for patch in (call(done, "1").stdout, found.stdout):
        git(checkout, "apply", "-", stdin=patch)
    assert (checkout / "latin.txt").read_bytes() == LATIN + b"x\ny\n"
    back = call(done, "3", "1").stdout
    assert LATIN + b" x\n-y\n" in back
    assert call(done, "4", "1").stdout == call(done, "1").stdout


def test_attempts_that_are_the_same_do_not_differ(done: Done) -> None:
    found = call(done, "1", "2")
    assert (found.stdout, found.stderr) == (b"", b"Variations 1 and 2 do not differ.\n")


@pytest.mark.parametrize("words", [(), ("latest",), ("1", "2", "3"), ("1", "latest"), ("a", "b")])
def test_what_cannot_be_meant_is_wrong_usage(words: tuple[str, ...]) -> None:
    with pytest.raises(click.UsageError) as caught:
        cli.main(["diff", *words], standalone_mode=False)
    assert caught.value.exit_code == 2


def test_what_is_not_there_is_refused(done: Done) -> None:
    said = error_of("diff", "1", "5", "--data-dir", str(done.data), cwd=done.repository, here=True)
    assert said == f"{done.run_id} has variations 1 to 4."


def test_settings_of_the_readers_git_change_nothing(done: Done, tmp_path: Path) -> None:
    config = tmp_path / "gitconfig"
    config.write_text(
        "[diff]\n external = false\n noprefix = true\n[color]\n ui = always\n"
        "[core]\n autocrlf = true\n[apply]\n whitespace = fix\n"
    )
    told = call(done, "1", "3", config=config).stdout
    assert told == call(done, "1", "3").stdout


def test_patches_are_compared_where_the_commit_has_gone(done: Done, tmp_path: Path) -> None:
    moved = done.repository.with_name("moved")
    done.repository.rename(moved)
    try:
        found = call(done, done.run_id, "1", "3", cwd=tmp_path)
        here = call(done, done.run_id, "1", "3", cwd=moved)
    finally:
        moved.rename(done.repository)
    assert b"is not at hand (file:///" in found.stderr
    assert b"compares the two patches, not the files" in found.stderr
    assert b"+diff --git a/latin.txt b/latin.txt" in found.stdout
    assert b"++y" in found.stdout
    assert not re.search(rb"^[-+].*(greet.py|Howdy)", found.stdout, re.MULTILINE)
    # In a repository that has the commit, wherever it is now, nothing is missing.
    assert here.stderr == b""
    assert LATIN + b" x\n+y\n" in here.stdout


def test_a_commit_that_is_not_here_is_fetched(
    done: Done, tmp_path: Path, git_servers: list[GitServer], certificate: Certificate
) -> None:
    server = git_servers[0]
    trust, host = str(certificate.authority), server.host
    done.stage.play(
        {
            1: [[edit("Hello", "Howdy")], [Text("Done.")]],
            2: [[edit("Hello", "Hi")], [Text("Done.")]],
        }
    )
    run_id = done.stage.gateway.create(github_url=f"{server.url}/user/repo", variations=2)
    try:
        assert done.stage.gateway.finish(run_id)["status"] == "completed"
        words = ("diff", run_id, "1", "2", *done.stage.data_dir)
        found = run(*words, cwd=tmp_path, GIT_SSL_CAINFO=trust, AIDEATOR_ALLOW_HOST=host)
        assert found.stderr.startswith(b"Fetching commit ")
        assert b'-    return "Howdy, " + name\n+    return "Hi, " + name\n' in found.stdout
        # Without the server's certificate it cannot be had.
        found = run(*words, cwd=tmp_path, AIDEATOR_ALLOW_HOST=host)
        assert b"this compares the two patches, not the files" in found.stderr
        assert b'-+    return "Howdy, " + name\n++    return "Hi, " + name\n' in found.stdout
    finally:
        # Other tests take the newest run, which is to be the one of them all.
        done.stage.gateway.http.delete(f"/runs/{run_id}")


def test_renames_modes_links_and_binary_files_are_compared(done: Done, tmp_path: Path) -> None:
    """What no attempt of today makes, and a patch can hold."""
    base = make_repository(tmp_path / "base", {"a.txt": "one\ntwo\nthree\nfour\n", "b.sh": "x\n"})
    (base / "picture").write_bytes(bytes(range(256)))
    git(base, "add", "--all")
    git(base, "commit", "--quiet", "--message=Second")
    commit = git(base, "rev-parse", "HEAD")
    patches = []
    for number in (1, 2):
        tree = tmp_path / f"tree{number}"
        git(base, "worktree", "add", "--quiet", "--detach", str(tree))
        (tree / "picture").write_bytes(bytes(range(256)) * number + b"\0")
        (tree / "b.sh").chmod(0o755 if number == 1 else 0o644)
        git(tree, "mv", "a.txt", f"renamed-{number}.txt")
        (tree / "link").symlink_to(f"target-{number}")
        git(tree, "add", "--all")
        words = ("diff", "--cached", "-M", "--binary", "--full-index", "HEAD")
        patches.append(
            subprocess.run(["git", "-C", str(tree), *words], capture_output=True, check=True).stdout
        )
    raw = run_here("show", "--json", "--data-dir", str(done.data), cwd=done.repository).stdout
    of_base = {"github_url": base.as_uri(), "commit": commit}
    made = _Made(tmp_path, Run.model_validate_json(raw).model_copy(update=of_base), ())
    found = made.between(made.tree(patches[0]), made.tree(patches[1]))
    assert b"rename from renamed-1.txt\nrename to renamed-2.txt" in found
    assert b"old mode 100755\nnew mode 100644" in found
    assert b"GIT binary patch" in found
    assert b"-target-1" in found
    assert b"+target-2" in found
    first = tmp_path / "tree1"
    subprocess.run(
        ["git", "-C", str(first), "apply", "-"], input=found, check=True,
        env={**ENVIRONMENT, "GIT_DIR": os.devnull},
    )  # fmt: skip
    for name in ("picture", "renamed-2.txt"):
        assert (first / name).read_bytes() == (tmp_path / "tree2" / name).read_bytes()
