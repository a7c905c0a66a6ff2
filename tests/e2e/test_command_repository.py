"""What can be given for REPOSITORY, and what is said of what cannot."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from aideator_gateway.command.cli import cli
from tests.support.command import error_of, run
from tests.support.gateways import Gateway
from tests.support.repositories import ENVIRONMENT, git, make_repository

DEMO = ("--demo", "--backend", "local", "--demo-tokens-per-second", "1000", "-n", "1")
WHAT = (
    "REPOSITORY is an https URL (https://host/owner/repository), or the path of a Git repository "
    "on this machine."
)


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Return what says why the command refuses something, in this process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))

    def error(given: str) -> str:
        words = ["run", given, "x", *DEMO, "--data-dir", str(tmp_path / "data")]
        with pytest.raises(click.ClickException) as caught:
            cli.main(words, standalone_mode=False)
        said = caught.value.format_message()
        assert caught.value.exit_code == 1
        assert not (tmp_path / "data").exists()
        assert "github_url" not in said
        return said

    return error


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
def test_what_is_none_is_refused_with_what_it_may_be(
    tmp_path: Path, refused: Callable[[str], str], given: str, said: str
) -> None:
    (tmp_path / "file.txt").write_text("x\n")
    error = refused(given)
    assert said in error
    assert error.endswith(WHAT)


def test_a_directory_that_is_no_repository(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    words = ("run", "plain", "x", *DEMO, "--data-dir", str(tmp_path / "data"))
    error = error_of(*words, cwd=tmp_path, GIT_CEILING_DIRECTORIES=str(tmp_path))
    assert not (tmp_path / "data").exists()
    assert error.startswith("plain is not a Git repository")
    assert "git init" in error


def test_a_repository_without_commits(tmp_path: Path, refused: Callable[[str], str]) -> None:
    (tmp_path / "new").mkdir()
    git(tmp_path / "new", "init", "--quiet")
    error = refused("new")
    assert error.startswith("new has no commit at its HEAD")
    assert "commit something" in error


def test_a_repository_that_git_refuses_is_told_with_its_reason(
    tmp_path: Path, refused: Callable[[str], str]
) -> None:
    make_repository(tmp_path / "repository")
    (tmp_path / "repository/.git/config").write_text("[core\n")
    assert "repository cannot be used: bad config line 1" in refused("repository")


@pytest.mark.parametrize("where", ["repository", "repository/docs", "bare", "~/repository"])
def test_what_can_be_given(tmp_path: Path, demo_gateway: Gateway, where: str) -> None:
    make_repository(tmp_path / "repository")
    subprocess.run(
        ["git", "clone", "--quiet", "--bare", "repository", "bare"],
        cwd=tmp_path, env=ENVIRONMENT, check=True,
    )  # fmt: skip
    words = ("run", where, "x", "-n", "1", "--demo", "--json")
    data = ("--data-dir", str(demo_gateway.data_dir))
    done = run(*words, *data, cwd=tmp_path, HOME=str(tmp_path))
    ended = json.loads(done.stdout.splitlines()[-1])
    assert ended["status"] == "completed"
    assert ended["commit"] == git(tmp_path / "repository", "rev-parse", "HEAD")


def test_another_branch_can_be_taken_where_head_has_no_commit(
    tmp_path: Path, demo_gateway: Gateway
) -> None:
    repository = make_repository(tmp_path / "repository")
    git(repository, "symbolic-ref", "HEAD", "refs/heads/unborn")
    words = ("run", "repository", "x", "-n", "1", "--demo", "--ref", "main", "--json")
    done = run(*words, "--data-dir", str(demo_gateway.data_dir), cwd=tmp_path)
    assert json.loads(done.stdout.splitlines()[-1])["status"] == "completed"
