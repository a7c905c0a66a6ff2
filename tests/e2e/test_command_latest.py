"""Which run is meant where none is named."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from aideator.protocol import Limits, Status
from aideator_gateway.command.cli.checkout import Checkout
from aideator_gateway.runs.model import Run
from tests.support.command import error_of, run_here
from tests.support.forked import serving
from tests.support.gateways import Gateway
from tests.support.repositories import ENVIRONMENT, git, make_repository


@dataclass
class Kept:
    """Runs of two repositories, the oldest first."""

    gateway: Gateway
    mine: Path
    other: Path
    won: str
    """Of mine: variation 1 is the winner."""
    undecided: str
    """Of mine: completed, and nothing is selected."""
    failed: str
    """Of mine, without a commit."""
    foreign: str
    """Of the other one, with a winner."""

    def call(self, *words: str, cwd: Path) -> subprocess.CompletedProcess[bytes]:
        return run_here(*words, "--data-dir", str(self.gateway.data_dir), cwd=cwd)

    def error(self, *words: str, cwd: Path) -> str:
        return error_of(*words, "--data-dir", str(self.gateway.data_dir), cwd=cwd, here=True)

    def note(self, *words: str, cwd: Path) -> str:
        return self.call(*words, cwd=cwd).stderr.decode()


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    base = tmp_path_factory.mktemp("latest")
    mine, other = make_repository(base / "mine"), make_repository(base / "other", {"a.txt": "a\n"})
    flags = ("--demo", "--backend", "local", "--allow-file", "--demo-tokens-per-second", "1000")
    with serving(base / "data", *flags) as gateway:

        def ended(repository: Path, variations: int, **more: str) -> str:
            run_id = gateway.create(github_url=repository.as_uri(), variations=variations, **more)
            gateway.finish(run_id)
            return run_id

        def selected(run_id: str) -> str:
            body = {"winning_variation_id": 1}
            assert gateway.http.post(f"/runs/{run_id}/select", json=body).status_code == 200
            return run_id

        yield Kept(
            gateway,
            mine,
            other,
            won=selected(ended(mine, 1)),
            undecided=ended(mine, 2),
            failed=ended(mine, 1, ref="nowhere"),
            foreign=selected(ended(other, 1)),
        )


def test_list_says_of_which_repository(kept: Kept, tmp_path: Path) -> None:
    out = kept.call("list", cwd=tmp_path).stdout.decode().splitlines()
    assert out[0].split() == ["run", "started", "status", "winner", "repository", "prompt"]
    found = {line.split()[0]: line.split() for line in out[1:]}
    assert "other" in found[kept.foreign]
    assert "mine" in found[kept.won]


def test_show_and_replay_take_the_newest_of_this_repository(kept: Kept, tmp_path: Path) -> None:
    done = kept.call("show", cwd=kept.mine)
    assert done.stdout.decode().startswith(kept.failed)
    assert f"Note: this is {kept.failed}, the newest run of this repository; " in (
        done.stderr.decode()
    )
    assert f"{kept.foreign} (completed, of other) is newer." in done.stderr.decode()
    done = kept.call("show", "latest", cwd=kept.other)
    assert done.stdout.decode().startswith(kept.foreign)
    assert done.stderr == b""
    assert kept.foreign in kept.call("replay", "--speed", "0", cwd=kept.other).stdout.decode()
    # Outside of any repository it is the newest of all.
    done = kept.call("show", cwd=tmp_path)
    assert done.stdout.decode().startswith(kept.foreign)
    assert done.stderr == b""


def clone(kept: Kept, path: Path) -> Path:
    words = ["git", "clone", "--quiet", str(kept.mine), str(path)]
    subprocess.run(words, check=True, env=ENVIRONMENT)
    return path


def test_apply_and_select_take_the_newest_that_they_can_do_something_with(
    kept: Kept, tmp_path: Path
) -> None:
    """Selecting changes what apply takes, so this is one test."""
    checkout = clone(kept, tmp_path / "checkout")

    def applied(*words: str) -> tuple[str, str]:
        done = kept.call("apply", *words, cwd=checkout)
        git(checkout, "reset", "--quiet", "--hard")
        git(checkout, "clean", "--quiet", "--force")
        return done.stdout.decode(), done.stderr.decode()

    out, note = applied()
    assert out.startswith(f"Applied variation 1 of {kept.won} to {checkout}")
    assert f"Note: this is {kept.won}, the newest run of this repository with a winner" in note
    out, note = applied("2")
    assert out.startswith(f"Applied variation 2 of {kept.undecided} to {checkout}")
    assert f"{kept.undecided}, the newest run of this repository whose variation 2 comp" in note

    note = kept.note("select", "1", cwd=kept.mine)
    assert f"{kept.undecided}, the newest run of this repository with a completed varia" in note
    assert applied()[0].startswith(f"Applied variation 1 of {kept.undecided} to {checkout}")
    # Outside of any repository it is the newest of all.
    done = kept.call("select", "1", cwd=tmp_path)
    assert done.stdout.decode() == f"Winner: variation 1, recorded for {kept.foreign}.\n"


def test_a_clone_is_the_same_repository_also_without_its_remote(kept: Kept, tmp_path: Path) -> None:
    checkout = clone(kept, tmp_path / "checkout")
    assert kept.failed in kept.note("show", cwd=checkout)
    git(checkout, "remote", "remove", "origin")
    # The run that failed started from no commit, so only the URL could tell.
    assert kept.undecided in kept.note("show", cwd=checkout)


def test_nothing_that_fits_is_an_error_that_names_the_newest(kept: Kept, tmp_path: Path) -> None:
    third = make_repository(tmp_path / "third", {"b.txt": "b\n"})
    for words in (("show",), ("replay",), ("select", "1"), ("apply",), ("apply", "1")):
        said = kept.error(*words, cwd=third)
        assert said.startswith("There is no run of this repository"), words
        assert f"The newest of all is {kept.foreign} (completed, of other)" in said
        assert "aideator list" in said
    said = kept.error("apply", "5", cwd=clone(kept, tmp_path / "checkout"))
    assert "whose variation 5 completed" in said
    assert f"The newest of this repository is {kept.failed} (failed, of mine)" in said


@pytest.mark.parametrize(
    "remote",
    [
        "https://github.com/User/repo",
        "https://github.com/user/repo.git",
        "https://someone@github.com/user/repo/",
        "git@github.com:user/repo.git",
        "ssh://git@github.com:22/user/repo",
    ],
)
def test_a_remote_is_the_repository_in_each_of_its_spellings(repository: Path, remote: str) -> None:
    runs = [
        Run(
            run_id=f"run_{number}", status=Status.FAILED, github_url=url, ref=None, prompt="x",
            model="m", scripted=False, limits=Limits(), created_at=datetime.now(UTC), variations=[],
        )
        for number, url in enumerate(
            ("https://github.com/user/repo", "https://github.com/user/repo2",
             "https://gitlab.com/user/repo", "file:///user/repo")
        )
    ]  # fmt: skip
    git(repository, "remote", "add", "upstream", remote)
    assert [run.run_id for run in Checkout(repository).own(runs)] == ["run_0"]
