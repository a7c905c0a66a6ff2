"""What can be given for REPOSITORY, and what is said of what cannot."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.support.command import error_of, run
from tests.support.repositories import ENVIRONMENT, git, make_repository

DEMO = ("--demo", "--backend", "local", "--demo-tokens-per-second", "1000", "-n", "1")
WHAT = (
    "REPOSITORY is an https URL (https://host/owner/repository), or the path of a Git repository "
    "on this machine."
)


def refused(tmp_path: Path, given: str) -> str:
    said = error_of(
        "run", given, "x", *DEMO, "--data-dir", str(tmp_path / "data"), cwd=tmp_path,
        GIT_CEILING_DIRECTORIES=str(tmp_path),
    )  # fmt: skip
    assert not (tmp_path / "data").exists()
    assert "github_url" not in said
    return said


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("/nonexist", "There is no directory /nonexist. "),
        ("./nonexist", "There is no directory ./nonexist. "),
        ("~/nonexist", "There is no directory ~/nonexist. "),
        ("~nobody-of-this-name/x", "~nobody-of-this-name/x cannot be read "),
        ("x" * 5000, f"{'x' * 5000} cannot be read (File name too long). "),
        ("", "REPOSITORY is empty. "),
        ("file.txt", "file.txt is a file, not a repository. "),
        ("owner/name", "the repository on GitHub was meant, it is https://github.com/owner/name. "),
        ("github.com/owner/name.git", "was meant, it is https://github.com/owner/name. "),
        ("git@gitlab.com:group/name.git", "come over https: try https://gitlab.com/group/name. "),
        ("ssh://git@github.com/owner/name", "over https: try https://github.com/owner/name. "),
    ],
)
def test_what_is_none_is_refused_with_what_it_may_be(tmp_path: Path, given: str, said: str) -> None:
    (tmp_path / "file.txt").write_text("x\n")
    error = refused(tmp_path, given)
    assert said in error
    assert error.endswith(WHAT)


def test_a_directory_that_is_no_repository(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    error = refused(tmp_path, "plain")
    assert error.startswith("plain is not a Git repository")
    assert "git init" in error


def test_a_repository_without_commits(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    git(tmp_path / "new", "init", "--quiet")
    error = refused(tmp_path, "new")
    assert error.startswith("new has no commit at its HEAD")
    assert "commit something" in error


def test_a_repository_that_git_refuses_is_told_with_its_reason(tmp_path: Path) -> None:
    make_repository(tmp_path / "repository")
    (tmp_path / "repository/.git/config").write_text("[core\n")
    assert "repository cannot be used: bad config line 1" in refused(tmp_path, "repository")


@pytest.mark.parametrize("where", ["repository", "repository/docs", "bare", "~/repository"])
def test_what_can_be_given(tmp_path: Path, where: str) -> None:
    make_repository(tmp_path / "repository")
    subprocess.run(
        ["git", "clone", "--quiet", "--bare", "repository", "bare"],
        cwd=tmp_path, env=ENVIRONMENT, check=True,
    )  # fmt: skip
    done = run(
        "run", where, "x", *DEMO, "--json", "--data-dir", "data", cwd=tmp_path, HOME=str(tmp_path)
    )
    ended = json.loads(done.stdout.splitlines()[-1])
    assert ended["status"] == "completed"
    assert ended["commit"] == git(tmp_path / "repository", "rev-parse", "HEAD")


def test_another_branch_can_be_taken_where_head_has_no_commit(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repository")
    git(repository, "symbolic-ref", "HEAD", "refs/heads/unborn")
    done = run(
        "run", "repository", "x", *DEMO, "--ref", "main", "--json", "--data-dir", "data",
        cwd=tmp_path,
    )  # fmt: skip
    assert json.loads(done.stdout.splitlines()[-1])["status"] == "completed"
