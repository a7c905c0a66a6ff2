"""Runs on kept commits: fetched once for all, each attempt in a tree of its own."""

import os
import random
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from aideator_gateway.scripted_model.script import Hang, Reply, Text, ToolUse
from aideator_gateway.scripted_model.server import Script, ScriptedModel
from tests.support.checks import check_of, need_bubblewrap
from tests.support.forked import run, serving
from tests.support.gateways import Gateway
from tests.support.https_git import Certificate, GitServer, https_git
from tests.support.processes import wait_until_gone, wait_until_removed
from tests.support.programs import path_without
from tests.support.repositories import FILES, git, make_repository

SECONDS = 60.0
LOCAL = ("--backend", "local", "--allow-file")
TOOL = "str_replace_based_edit_tool"


def edits(word: str) -> list[Reply]:
    """Return what a model says that changes one file and makes another."""
    change = {"command": "str_replace", "path": "greet.py", "old_str": "Hello", "new_str": word}
    make = {"command": "create", "path": f"{word}.txt", "file_text": f"{word}\n"}
    return [[ToolUse(TOOL, change), ToolUse(TOOL, make)], [Text("Done.")]]


def figure(gateway: Gateway, name: str) -> int:
    for line in gateway.http.get("/metrics").text.splitlines():
        if line.startswith(f"aideator_commits_{name} "):
            return int(float(line.split()[1]))
    raise AssertionError(name)


def trees(gateway: Gateway) -> list[Path]:
    return list(gateway.data_dir.glob("commits/*/*/repo"))


def wait_until(condition: object) -> None:
    assert callable(condition)
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_attempts_and_runs_on_one_commit_have_nothing_of_each_other(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repository")
    script = Script({1: edits("Ahoy") + edits("Moin"), 2: edits("Salut") + edits("Ciao")})
    with (
        ScriptedModel(script) as model,
        serving(
            tmp_path / "data", *LOCAL, "--base-url", model.base_url, AIDEATOR_API_KEY="key"
        ) as gateway,
    ):
        need_bubblewrap(gateway)
        found = []
        for _ in range(2):
            run_id = gateway.create(
                github_url=repository.as_uri(), variations=2, check="ls; cat greet.py"
            )
            ended = gateway.finish(run_id)
            assert ended["status"] == "completed"
            assert ended["copies"] in ("overlay", "reflink", "copy")
            for number in (1, 2):
                patch = gateway.http.get(f"/runs/{run_id}/variations/{number}/patch").text
                output = check_of(ended, number)["output"]
                found.append((patch, output))
        for word, (patch, output) in zip(("Ahoy", "Salut", "Moin", "Ciao"), found, strict=True):
            assert f'+    return "{word}, "' in patch
            assert '-    return "Hello, "' in patch
            assert patch.count("diff --git") == 2
            assert output.split()[:4] == sorted(["README.md", "docs", "greet.py", f"{word}.txt"])
            assert f'return "{word}, "' in output
        (tree,) = trees(gateway)
        assert {str(p.relative_to(tree)): p.read_text() for p in tree.rglob("*.*")} == FILES
        assert (figure(gateway, "fetched_total"), figure(gateway, "reused_total")) == (1, 1)
        assert figure(gateway, "kept_bytes") > 0
        said = run(
            "show", run_id, "--data-dir", str(gateway.data_dir), cwd=tmp_path
        ).stdout.decode()
        assert f"copies: {ended['copies']}" in said


@pytest.mark.parametrize("without", [("bwrap",), ("bwrap", "unshare"), ("unshare",)])
def test_each_isolation_has_copies_in_some_way(tmp_path: Path, without: tuple[str, ...]) -> None:
    repository = make_repository(tmp_path / "repository")
    script = Script({}, default=edits("Ahoy"))
    with (
        ScriptedModel(script) as model,
        serving(
            tmp_path / "data", *LOCAL, "--base-url", model.base_url, "--check-unsandboxed",
            AIDEATOR_API_KEY="key", PATH=path_without(tmp_path / "bin", *without),
        ) as gateway,
    ):  # fmt: skip
        ended = gateway.finish(
            gateway.create(
                github_url=repository.as_uri(), variations=2, check="cat Ahoy.txt; id -u"
            )
        )
        assert ended["status"] == "completed"
        if "bwrap" in without:
            assert ended["isolation"] == "process"
            assert check_of(ended)["output"] == f"Ahoy\n{os.geteuid()}\n"
        if "unshare" in without and "bwrap" in without:
            assert ended["copies"] in ("reflink", "copy")
        assert check_of(ended, 2)["passed"]
        assert {v["patch"]["files"] for v in ended["variations"]} == {2}
        assert wait_until_removed(gateway.data_dir) == []
        (tree,) = trees(gateway)
        assert not (tree / "Ahoy.txt").exists()


@pytest.fixture
def server(tmp_path: Path, certificate: Certificate) -> Iterator[GitServer]:
    noise = random.Random(1).randbytes(200_000).hex()  # noqa: S311 - it is to be incompressible
    make_repository(tmp_path / "git/user/repo", {"noise.txt": noise})
    with https_git(tmp_path / "git", certificate.chain, certificate.key) as git_server:
        yield git_server


def test_runs_that_start_at_once_on_two_gateways_fetch_a_commit_once(
    tmp_path: Path, server: GitServer, certificate: Certificate
) -> None:
    allowed = ("--backend", "local", "--allow-host", server.host)
    authority = str(certificate.authority)
    url = f"{server.url}/user/repo"
    data = tmp_path / "data"
    with (
        ScriptedModel(Script({}, default=[[Text("Done.")]] * 3)) as model,
        serving(
            data,
            *allowed,
            "--base-url",
            model.base_url,
            AIDEATOR_API_KEY="key",
            GIT_SSL_CAINFO=authority,
        ) as gateway,
    ):
        ids = [gateway.create(github_url=url, variations=1) for _ in range(3)]
        # Its settings do not fit those of the one that serves, so it has a gateway of its own.
        done = run(
            "run", url, "x", "-n", "1", "--demo", *allowed, "--data-dir", str(data),
            cwd=tmp_path, GIT_SSL_CAINFO=authority,
        )  # fmt: skip
        assert b"gateway of its own" in done.stderr
        assert {gateway.finish(run_id)["status"] for run_id in ids} == {"completed"}
        assert len(trees(gateway)) == 1
    assert 200_000 < server.sent < 2 * 200_000


def test_what_a_run_uses_stays_whatever_the_bound(tmp_path: Path) -> None:
    first = make_repository(tmp_path / "first")
    second = make_repository(tmp_path / "second", {"other.txt": "other\n"})
    # The first variation of either run goes on until it is cancelled.
    script = Script({1: [[Text("Hm."), Hang()]] * 2, 2: [[Text("Done.")]]})
    flags = (*LOCAL, "--max-cache-bytes", "0")
    with (
        ScriptedModel(script) as model,
        serving(
            tmp_path / "data", *flags, "--base-url", model.base_url, AIDEATOR_API_KEY="key"
        ) as gateway,
    ):
        held = gateway.create(github_url=first.as_uri(), variations=1)
        wait_until(lambda: gateway.run(held)["commit"])
        (tree,) = trees(gateway)
        other = gateway.create(
            github_url=second.as_uri(), conditions=[{"label": "a"}, {"label": "b"}]
        )
        wait_until(lambda: gateway.run(other)["variations"][1]["status"] == "completed")
        assert len(trees(gateway)) == 2
        gateway.http.post(f"/runs/{other}/cancel", json={})
        wait_until(lambda: trees(gateway) == [tree])
        assert (tree / "greet.py").exists()
        gateway.http.post(f"/runs/{held}/cancel", json={})
        wait_until(lambda: trees(gateway) == [])
        wait_until(lambda: figure(gateway, "kept_bytes") == 0)


def test_a_repository_over_a_limit_is_refused_with_what_to_do(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repository")
    with serving(tmp_path / "data", "--demo", *LOCAL, "--max-repo-files", "3") as gateway:
        ended = gateway.finish(gateway.create(github_url=repository.as_uri()))
        assert (ended["status"], ended["code"]) == ("failed", "repository_too_large")
        assert ended["message"] == (
            "The commit has more than 3 files and directories, more than is allowed here."
        )
        assert "--max-repo-files" in ended["remedy"]
        assert trees(gateway) == []
        assert list(gateway.data_dir.glob("work/run_*")) == []


def test_after_a_gateway_was_killed_the_next_one_goes_on(tmp_path: Path) -> None:
    files = {f"d{n % 20}/{n}.txt": f"{n}\n" for n in range(1000)}
    repository = make_repository(tmp_path / "repository", files)
    flags = ("--demo", *LOCAL, "--demo-tokens-per-second", "1000")
    moments = random.Random(5)  # noqa: S311 - any moment will do
    for number in range(4):
        git(repository, "commit", "--quiet", "--allow-empty", f"--message={number}")
        with serving(tmp_path / "data", *flags) as gateway:
            gateway.create(github_url=repository.as_uri(), variations=2)
            time.sleep(moments.uniform(0, 0.6))
            gateway.process.send_signal(signal.SIGKILL)
            gateway.process.wait()
    with serving(tmp_path / "data", *flags) as gateway:
        ended = gateway.finish(gateway.create(github_url=repository.as_uri(), variations=1))
        assert ended["status"] == "completed"
        assert wait_until_removed(gateway.data_dir) == []
        assert wait_until_gone(gateway.data_dir, 10) == []
        making = gateway.data_dir / "commits/.making"
        wait_until(lambda: not list(making.glob("*")))
        for tree in trees(gateway):
            assert len(list(tree.rglob("*.txt"))) == 1000
        states = {one["status"] for one in gateway.http.get("/runs").json()["runs"]}
        assert states <= {"interrupted", "completed"}
    assert not making.exists()
    shutil.rmtree(gateway.data_dir / "commits")
    with serving(tmp_path / "data", *flags) as gateway:
        ended = gateway.finish(gateway.create(github_url=repository.as_uri(), variations=1))
        assert ended["status"] == "completed"
