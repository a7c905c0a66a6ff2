"""Kept commits: fetched once, whole or not there, and never taken from those who use them."""

import asyncio
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from aideator.protocol import ErrorCode
from aideator_gateway.backends.commits import commits as kept_commits
from aideator_gateway.backends.commits.entry import Entry
from aideator_gateway.backends.commits.lock import FileLock
from aideator_gateway.runs.backend import BackendError
from tests.support.commits import Shelf, shelf
from tests.support.https_git import Certificate, GitServer, https_git
from tests.support.repositories import git, make_repository

ROOT = Path(__file__).parents[2]
SECONDS = 60.0


@pytest.fixture
def server(
    tmp_path: Path, certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> Iterator[GitServer]:
    """Return a server with a repository ``user/repo`` of its own."""
    monkeypatch.setenv("GIT_SSL_CAINFO", str(certificate.authority))
    # So that it can be told whether it was sent.
    noise = random.Random(1).randbytes(200_000).hex()  # noqa: S311
    make_repository(tmp_path / "git/user/repo", {"noise.txt": noise, "small.txt": "1\n"})
    with https_git(tmp_path / "git", certificate.chain, certificate.key) as git_server:
        yield git_server


def at(server: GitServer) -> tuple[str, dict[str, object]]:
    """Return the address of the server's repository, and settings that allow it."""
    return f"{server.url}/user/repo", {"allow_host": (server.host,)}


def commit(repository: Path, text: str) -> str:
    (repository / "small.txt").write_text(text)
    git(repository, "commit", "--quiet", "--all", f"--message={text}")
    return git(repository, "rev-parse", "HEAD")


def sent(server: GitServer, since: int) -> bool:
    """Whether the large file was sent."""
    return server.sent - since > 100_000


def test_a_commit_is_sent_once_and_then_only_asked_for(tmp_path: Path, server: GitServer) -> None:
    url, settings = at(server)

    async def scene() -> None:
        async with shelf(tmp_path / "data", **settings) as here:
            first = await here.commits.take(url, None)
            assert sent(server, 0)
            assert (first.tree / "small.txt").read_text() == "1\n"
            assert not (first.tree / ".git").exists()
            before = server.sent
            second = await here.commits.take(url, "main")
            assert not sent(server, before)
            assert (second.commit, second.tree) == (first.commit, first.tree)
            first.release()
            second.release()
            assert (here.figure("fetched_total"), here.figure("reused_total")) == (1, 1)
        # Another gateway, later.
        before = server.sent
        async with shelf(tmp_path / "data", "gw_2", **settings) as there:
            third = await there.commits.take(url, first.commit)
            assert third.tree == first.tree
            third.release()
        assert not sent(server, before)

    asyncio.run(scene())


def test_of_another_commit_only_new_objects_are_sent(tmp_path: Path, server: GitServer) -> None:
    url, settings = at(server)
    repository = tmp_path / "git/user/repo"

    async def scene() -> None:
        async with shelf(tmp_path / "data", **settings) as here:
            (await here.commits.take(url, None)).release()
            commit(repository, "2\n")
            commit(repository, "3\n")
            before = server.sent
            kept = await here.commits.take(url, None)
            assert not sent(server, before)
            assert (kept.tree / "small.txt").read_text() == "3\n"
            # What the commit in between changed and this one took back is there all the same.
            (repository / "small.txt").write_text("1\n")
            commit(repository, "2\n")
            again = await here.commits.take(url, None)
            assert (again.tree / "small.txt").read_text() == "2\n"
            git(again.git_dir, "fsck", "--strict")
            kept.release()
            again.release()

    asyncio.run(scene())


def test_many_packs_are_put_together_and_lose_nothing(
    tmp_path: Path, server: GitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_commits, "MAX_PACKS", 3)
    url, settings = at(server)
    counts = []

    async def scene() -> None:
        async with shelf(tmp_path / "data", **settings) as here:
            for number in range(7):
                commit(tmp_path / "git/user/repo", f"number {number}\n")
                before = server.sent
                kept = await here.commits.take(url, None)
                assert sent(server, before) == (number == 0)
                packs = kept.git_dir / "objects/pack"
                counts.append(len(list(packs.glob("*.pack"))))
                git(kept.git_dir, "fsck", "--strict")
                kept.release()

    asyncio.run(scene())
    assert counts == [1, 2, 3, 1, 2, 3, 1]


def test_two_that_want_a_commit_at_once_have_it_sent_once(
    tmp_path: Path, server: GitServer
) -> None:
    url, settings = at(server)

    async def scene() -> None:
        async with (
            shelf(tmp_path / "data", "gw_1", **settings) as here,
            shelf(tmp_path / "data", "gw_2", **settings) as there,
        ):
            taking = [one.commits.take(url, None) for one in (here, there, here)]
            kept = await asyncio.gather(*taking)
            assert len({one.tree for one in kept}) == 1
            fetched = here.figure("fetched_total") + there.figure("fetched_total")
            assert (fetched, here.figure("reused_total") + there.figure("reused_total")) == (1, 2)
            for one in kept:
                one.release()

    asyncio.run(scene())
    assert server.sent < 2 * 200_000


def test_one_that_gives_up_while_others_wait_leaves_it_to_them(
    tmp_path: Path, server: GitServer
) -> None:
    url, settings = at(server)

    async def scene() -> None:
        async with shelf(tmp_path / "data", **settings) as here:
            first = asyncio.create_task(here.commits.take(url, None))
            second = asyncio.create_task(here.commits.take(url, None))
            while not here.left():  # noqa: ASYNC110 - a directory that appears tells nobody
                await asyncio.sleep(0.001)
            first.cancel()
            kept = await second
            assert (kept.tree / "small.txt").exists()
            kept.release()
            with pytest.raises(asyncio.CancelledError):
                await first

    asyncio.run(scene())


def test_the_server_is_asked_each_time_so_that_what_was_closed_is_closed(
    tmp_path: Path, server: GitServer
) -> None:
    url, settings = at(server)

    async def scene() -> None:
        async with shelf(tmp_path / "data", **settings) as here:
            kept = await here.commits.take(url, None)
            kept.release()
            shutil.move(tmp_path / "git/user/repo", tmp_path / "git/user/gone")
            for ref in (None, kept.commit):
                with pytest.raises(BackendError) as refused:
                    await here.commits.take(url, ref)
                assert refused.value.code is ErrorCode.REPOSITORY_NOT_FOUND

    asyncio.run(scene())


def test_a_repository_has_what_was_fetched_from_its_own_address_alone(tmp_path: Path) -> None:
    """Whoever knows a commit's id gets it only where it is to be had."""
    mine = make_repository(tmp_path / "mine", {"secret.txt": "x\n"})
    other = make_repository(tmp_path / "other", {"a.txt": "a\n"})
    wanted = git(mine, "rev-parse", "HEAD")

    async def scene() -> None:
        async with shelf(tmp_path / "data") as here:
            kept = await here.commits.take(mine.as_uri(), None)
            with pytest.raises(BackendError) as refused:
                await here.commits.take(other.as_uri(), wanted)
            assert refused.value.code is ErrorCode.REF_NOT_FOUND
            kept.release()

    asyncio.run(scene())


async def three(here: Shelf, tmp_path: Path) -> list[str]:
    """Take and release a commit of three repositories, one after the other."""
    found = []
    for number in range(3):
        kept = await here.commits.take((tmp_path / f"repository{number}").as_uri(), None)
        kept.release()
        # Times of files are coarse.
        os.utime(Entry(kept.tree.parent).used, (number + 1000, number + 1000))
        found.append(kept.commit)
    return found


@pytest.fixture
def repositories(tmp_path: Path) -> list[Path]:
    """Return four repositories whose trees take about 100 KiB each."""
    return [
        make_repository(tmp_path / f"repository{n}", {f"{n}.txt": str(n) * 100_000})
        for n in range(4)
    ]


def test_the_longest_unused_go_first_and_what_is_used_stays(
    tmp_path: Path, repositories: list[Path]
) -> None:
    async def scene() -> None:
        async with shelf(tmp_path / "data", max_cache_bytes=250_000) as here:
            first, second, third = await three(here, tmp_path)
            assert here.kept() == {second, third}
            assert 200_000 < here.figure("kept_bytes") <= 250_000
            assert here.figure("removed_total") == 1
            # Used again, it is not the next to go.
            again = await here.commits.take(repositories[1].as_uri(), None)
            again.release()
            fourth = await here.commits.take(repositories[3].as_uri(), None)
            assert here.kept() == {second, fourth.commit}
            fourth.release()
        async with (
            shelf(tmp_path / "data", "gw_1", max_cache_bytes=10) as here,
            shelf(tmp_path / "data", "gw_2", max_cache_bytes=10) as there,
        ):
            # The bound is that of who looks; nothing was used but what is taken now.
            assert here.kept() == set()
            one = await here.commits.take(repositories[0].as_uri(), None)
            two = await there.commits.take(repositories[0].as_uri(), None)
            assert one.commit == first
            one.release()
            here.commits.trim()
            assert here.kept() == {first}
            assert (two.tree / "0.txt").exists()
            # It goes after the last one who uses it, though nothing new comes.
            here.commits.trim_again()
            assert here.kept() == {first}
            two.release()
            here.commits.trim_again()
            # Its files have not begun to go; from here on nothing says that they are whole.
            (leaving,) = here.making_path.glob(f".discarded.gw_1.{first}.*")
            assert (leaving / "repo/0.txt").exists()
            assert here.kept() == set()
            assert list((tmp_path / "data/commits").iterdir()) == [here.making_path]
        assert list((tmp_path / "data/commits").iterdir()) == []

    asyncio.run(scene())


def test_no_more_commits_are_kept_than_can_be_looked_through(
    tmp_path: Path, repositories: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(repositories) > 3
    monkeypatch.setattr(kept_commits, "MAX_KEPT", 2)

    async def scene() -> None:
        async with shelf(tmp_path / "data") as here:
            _, second, third = await three(here, tmp_path)
            assert here.kept() == {second, third}
            assert here.figure("removed_total") == 1

    asyncio.run(scene())


def test_packs_that_commits_share_count_once(tmp_path: Path, server: GitServer) -> None:
    url, settings = at(server)

    async def scene() -> None:
        async with shelf(tmp_path / "data", **settings) as here:
            (await here.commits.take(url, None)).release()
            one = here.figure("kept_bytes")
            commit(tmp_path / "git/user/repo", "2\n")
            (await here.commits.take(url, None)).release()
            # A tree of 400 KiB more, and not the pack of 200.
            assert 400_000 < here.figure("kept_bytes") - one < 420_000

    asyncio.run(scene())


def test_what_the_disk_may_not_have_whole_after_a_restart_is_fetched_anew(
    tmp_path: Path, repository: Path
) -> None:
    async def scene() -> None:
        async with shelf(tmp_path / "data") as here:
            kept = await here.commits.take(repository.as_uri(), None)
            entry = Entry(kept.tree.parent)
            kept.release()
            assert entry.usable
            mark = entry.path / "kept.json"
            # As another start of the machine left it, with the files not written yet.
            mark.write_text(json.dumps({**json.loads(mark.read_text()), "boot": "another"}))
            (kept.tree / "greet.py").write_text("")
            assert not entry.usable
            again = await here.commits.take(repository.as_uri(), None)
            assert (again.tree / "greet.py").read_text().startswith("def greet")
            again.release()
            mark.write_text(json.dumps({**json.loads(mark.read_text()), "boot": "another"}))
        async with shelf(tmp_path / "data", "gw_2") as there:
            assert there.kept() == set()

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"max_repo_files": 5}, "more than 5 files and directories"),
        ({"max_repo_bytes": 70_000}, "more than 70000 bytes"),
        ({"max_repo_bytes": 20_000}, "More than 20000 bytes would have to be fetched"),
    ],
)
def test_a_repository_over_a_limit_is_refused_before_anything_is_checked_out(
    tmp_path: Path, settings: dict[str, int], said: str
) -> None:
    noise = random.Random(2).randbytes(20_000).hex()  # noqa: S311
    files = {f"d{n}/{n}.txt": noise for n in range(2)} | {"e/f.txt": "x"}
    repository = make_repository(tmp_path / "large", files)

    async def scene() -> None:
        async with shelf(tmp_path / "data", **settings) as here:
            with pytest.raises(BackendError, match=said) as refused:
                await here.commits.take(repository.as_uri(), None)
            assert refused.value.code is ErrorCode.REPOSITORY_TOO_LARGE
            assert here.kept() == set()
        assert list((tmp_path / "data/commits").iterdir()) == []
        async with shelf(tmp_path / "data", max_repo_files=6, max_repo_bytes=80_001) as here:
            (await here.commits.take(repository.as_uri(), None)).release()

    asyncio.run(scene())


@pytest.mark.parametrize("empty", [False, True])
def test_a_tree_that_unfolds_without_end_is_refused_at_once(tmp_path: Path, empty: bool) -> None:
    repository = make_repository(tmp_path / "bomb")
    if empty:
        last = git(repository, "mktree", stdin=b"")
    else:
        blob = git(repository, "hash-object", "-w", "--stdin", stdin=b"boom\n")
        last = git(repository, "mktree", stdin=f"100644 blob {blob}\tf\n".encode())
    for _ in range(12):
        lines = "".join(f"040000 tree {last}\td{n}\n" for n in range(10))
        last = git(repository, "mktree", stdin=lines.encode())
    bomb = git(repository, "commit-tree", last, "-m", "Bomb")
    git(repository, "update-ref", "refs/heads/bomb", bomb)

    async def scene() -> None:
        async with shelf(tmp_path / "data") as here:
            with pytest.raises(BackendError, match="more than 200000 files") as refused:
                await here.commits.take(repository.as_uri(), "bomb")
            assert refused.value.code is ErrorCode.REPOSITORY_TOO_LARGE

    asyncio.run(scene())


def test_a_ref_that_leads_to_no_commit_is_named(tmp_path: Path, repository: Path) -> None:
    git(repository, "tag", "tree", "HEAD^{tree}")

    async def scene() -> None:
        async with shelf(tmp_path / "data") as here:
            with pytest.raises(BackendError, match="does not lead to a commit") as refused:
                await here.commits.take(repository.as_uri(), "tree")
            assert refused.value.code is ErrorCode.REF_NOT_FOUND

    asyncio.run(scene())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a repository to somebody else")
def test_a_repository_of_another_user_is_refused_with_what_to_do(
    tmp_path: Path, repository: Path
) -> None:
    os.chown(repository / ".git", 12345, -1)

    async def scene() -> None:
        async with shelf(tmp_path / "data") as here:
            with pytest.raises(BackendError, match="belongs to another user: run") as refused:
                await here.commits.take(repository.as_uri(), None)
            assert refused.value.code is ErrorCode.REPOSITORY_UNREACHABLE

    asyncio.run(scene())


def test_a_repository_that_is_damaged_is_refused_with_the_reason(
    tmp_path: Path, repository: Path
) -> None:
    (repository / ".git" / "config").write_text("[core\n")

    async def scene() -> None:
        async with shelf(tmp_path / "data") as here:
            with pytest.raises(BackendError, match="fatal: bad config line 1"):
                await here.commits.take(repository.as_uri(), None)

    asyncio.run(scene())


def test_a_commit_without_files_is_one_too(tmp_path: Path, repository: Path) -> None:
    git(repository, "rm", "--quiet", "-r", ".")
    git(repository, "commit", "--quiet", "--message=Nothing")

    async def scene() -> None:
        async with shelf(tmp_path / "data") as here:
            kept = await here.commits.take(repository.as_uri(), None)
            assert list(kept.tree.iterdir()) == []
            kept.release()

    asyncio.run(scene())


TAKE = """
import asyncio, sys
from pathlib import Path
from tests.support.commits import shelf

async def scene():
    async with shelf(Path(sys.argv[1]), sys.argv[2], max_cache_bytes=300_000) as here:
        print("ready", flush=True)
        for number in range(1000):
            for url in sys.argv[3:]:
                kept = await here.commits.take(url, None)
                assert len(list(kept.tree.iterdir())) == 1, list(kept.tree.iterdir())
                kept.release()

asyncio.run(scene())
"""


def killed(data: Path, owner: str, urls: list[str], seconds: float) -> None:
    """Take commits in a process that is killed after so many seconds."""
    process = subprocess.Popen(
        [sys.executable, "-c", TAKE, str(data), owner, *urls], cwd=ROOT, stdout=subprocess.PIPE
    )
    assert process.stdout
    with process:
        assert process.stdout.readline() == b"ready\n"
        time.sleep(seconds)
        assert process.poll() is None
        process.send_signal(signal.SIGKILL)


def check_after_deaths(data: Path, repositories: list[Path]) -> None:
    """See that what is there is whole, and that nothing else is left."""

    async def scene() -> None:
        async with shelf(data, "gw_last", max_cache_bytes=10**9) as here:
            for path in here.path.glob("*/*/kept.json"):
                assert Entry(path.parent).usable
                (file,) = Entry(path.parent).tree.iterdir()
                assert len(file.read_text()) == 100_000
                git(Entry(path.parent).git_dir, "fsck", "--strict")
            for repository in repositories:
                kept = await here.commits.take(repository.as_uri(), None)
                kept.release()
            await here.making.clear(lambda _: False)
            assert {path.name for path in here.left()} == set()
            assert here.kept() == {git(one, "rev-parse", "HEAD") for one in repositories}
        assert not (data / "commits/.making").exists()

    asyncio.run(scene())


def test_one_that_is_killed_leaves_nothing_broken_and_nothing_behind(
    tmp_path: Path, repositories: list[Path]
) -> None:
    moments = random.Random(3)  # noqa: S311
    urls = [one.as_uri() for one in repositories]
    for number in range(5):
        killed(tmp_path / "data", f"gw_{number}", urls, moments.uniform(0, 0.5))
    check_after_deaths(tmp_path / "data", repositories)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_one_that_is_killed_at_any_moment_leaves_nothing_broken(
    tmp_path: Path, repositories: list[Path]
) -> None:
    moments = random.Random(4)  # noqa: S311
    urls = [one.as_uri() for one in repositories]
    for number in range(200):
        killed(tmp_path / "data", f"gw_{number}", urls, moments.uniform(0, 1))
        if number % 10 == 9:
            check_after_deaths(tmp_path / "data", repositories)


def test_a_lock_counts_for_each_who_takes_it_and_for_a_file_that_is_there(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    first = FileLock.take(path)
    assert first is not None
    assert FileLock.take(path) is None
    assert FileLock.take(path, shared=True) is None
    path.unlink()
    # Who has a file that is gone is in nobody's way.
    second = FileLock.take(path, shared=True)
    third = FileLock.take(path, shared=True)
    assert second is not None
    assert third is not None
    first.release()
    first.release()
    assert FileLock.take(path) is None
    second.release()
    third.release()
    with FileLock.take(path) or pytest.fail("it is free"):
        pass
