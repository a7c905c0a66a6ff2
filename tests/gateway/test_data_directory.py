"""The data directory: what is not ours is neither used nor changed nor removed."""

import asyncio
import contextlib
import fcntl
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from aideator_gateway.backends.workdir import WorkDirectory, owner_of
from aideator_gateway.command.datadir import is_served, sole_server
from tests.support.forked import error_of, run, serving

DEMO = ("--demo", "--backend", "local", "--demo-tokens-per-second", "1000")


def tree(path: Path) -> dict[str, tuple[int, bytes]]:
    """Return the mode and the content of everything below a directory, and its own."""
    return {
        str(entry): (entry.lstat().st_mode, entry.read_bytes() if entry.is_file() else b"")
        for entry in (path, *sorted(path.rglob("*")))
    }


@pytest.mark.parametrize(
    "words", [("list",), ("run", ".", "x", *DEMO), ("serve", *DEMO, "--port", "0")]
)
@pytest.mark.parametrize("name", ["work/notes.txt", "notes.txt", ".git/config"])
def test_a_directory_with_files_of_others_is_refused_and_stays_as_it_is(
    repository: Path, tmp_path: Path, words: tuple[str, ...], name: str
) -> None:
    mine = tmp_path / "mine"
    (mine / name).parent.mkdir(parents=True)
    (mine / name).write_text("kept")
    mine.chmod(0o755)
    before = tree(mine)
    said = error_of(*words, "--data-dir", str(mine), cwd=repository)
    assert said.startswith(f"{mine} has other files in it ({name.partition('/')[0]})")
    assert "--data-dir" in said
    assert tree(mine) == before


def test_a_file_is_no_data_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    said = error_of("list", "--data-dir", str(tmp_path / "file"), cwd=tmp_path)
    assert said.startswith(f"The data directory {tmp_path / 'file'} cannot be used")


@pytest.mark.parametrize("name", ["aideator.lock/x", "gateways"])
def test_a_file_of_ours_that_cannot_be_made_is_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / "data" / name).parent.mkdir(parents=True)
    (tmp_path / "data" / name).touch()
    said = error_of("serve", *DEMO, "--port", "0", "--data-dir", "data", cwd=tmp_path)
    assert said.startswith(f"The data directory {tmp_path / 'data'} cannot be used (")


@pytest.mark.parametrize("there", [(), ("styles/mine.md",), ("lost+found/x", "styles/mine.md")])
def test_an_empty_directory_and_one_with_styles_are_used_as_they_are(
    repository: Path, tmp_path: Path, there: tuple[str, ...]
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for name in there:
        (data / name).parent.mkdir(exist_ok=True)
        (data / name).write_text("Be brief.\n")
    data.chmod(0o755)
    before = tree(data)
    run("run", str(repository), "x", "-n", "1", *DEMO, "--data-dir", str(data), cwd=tmp_path)
    after = tree(data)
    assert before.items() <= after.items()
    made = {name: mode & 0o077 for name, (mode, _) in after.items() if name not in before}
    assert {str(data / "aideator.db"), str(data / "commits")} <= made.keys()
    # A commit's files keep the modes that Git gives them; nobody else gets to them.
    inside = f"{data / 'commits'}/"
    assert {mode for name, mode in made.items() if not name.startswith(inside)} == {0}


def test_what_a_gateway_makes_in_a_directory_others_can_read_is_private(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o755)
    with serving(data, *DEMO):
        made = {}
        for at, directories, files in os.walk(data):
            for name in (*directories, *files):
                made[name] = Path(at, name).stat().st_mode & 0o077
            # What lies in the sandboxes comes and goes; nobody else gets in there.
            if "work" in directories:
                directories.remove("work")
    assert {"aideator.db", "aideator.db-wal", "aideator.lock", "server.json"} <= made.keys()
    assert [name for name in made if name.endswith(".json")] != ["server.json"]
    assert set(made.values()) == {0}
    assert data.stat().st_mode & 0o777 == 0o755


def test_only_what_is_marked_is_removed_from_the_directory_of_sandboxes(
    repository: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    run("list", "--data-dir", str(data), cwd=tmp_path)
    work = data / "work"
    (work / "run_0000000000000001").mkdir(parents=True)
    (work / "run_0000000000000001" / "file").write_text("kept")
    (work / "file").write_text("kept")
    before = tree(work)
    WorkDirectory(work, "gw_00000000deadbeef").make("run_0000000000000002")
    (work / "run_0000000000000002" / "v1").mkdir()
    run("run", str(repository), "x", "-n", "1", *DEMO, "--data-dir", str(data), cwd=tmp_path)
    assert tree(work) == before


def test_a_sandbox_is_removed_by_its_own_gateway_or_after_its_death(tmp_path: Path) -> None:
    work = tmp_path / "work"
    mine, theirs = WorkDirectory(work, "gw_mine"), WorkDirectory(work, "gw_theirs")
    made = {name: place.make(name) for name, place in (("a", mine), ("b", theirs))}
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("kept")
    (made["b"] / "link").symlink_to(outside)
    asyncio.run(mine.clear(lambda owner: owner == "gw_theirs"))
    assert sorted(work.iterdir()) == [made["a"], made["b"]]
    asyncio.run(mine.clear(lambda _: False))
    assert list(work.iterdir()) == [made["a"]]
    assert (outside / "file").read_text() == "kept"
    made["b"] = theirs.make("b")
    asyncio.run(mine.aclose())
    assert list(work.iterdir()) == [made["b"]]
    asyncio.run(theirs.aclose())
    assert not work.exists()


def test_what_a_dead_gateway_left_running_in_a_sandbox_is_ended_and_nothing_else(
    tmp_path: Path,
) -> None:
    """As bubblewrap, which for a moment does not know yet that it is to die with its parent."""
    work = tmp_path / "work"
    mine, theirs = WorkDirectory(work, "gw_mine"), WorkDirectory(work, "gw_theirs")
    homes = {"theirs": theirs.make("a") / "v1/home", "mine": mine.make("b") / "v1/home",
             "alike": work / "aa/v1/home"}  # fmt: skip
    running = {
        name: subprocess.Popen(["sleep", "60"], env={"PATH": os.environ["PATH"], "HOME": str(home)})
        for name, home in homes.items()
    }
    try:
        asyncio.run(mine.clear(lambda owner: owner == "gw_theirs"))
        assert [process.poll() for process in running.values()] == [None] * 3
        asyncio.run(mine.clear(lambda _: False))
        assert running["theirs"].wait(10) == -signal.SIGKILL
        assert [running[name].poll() for name in ("mine", "alike")] == [None] * 2
    finally:
        for process in running.values():
            process.kill()
            process.wait()


def test_a_sandbox_that_could_not_be_marked_is_removed_all_the_same(tmp_path: Path) -> None:
    """As when its gateway was killed before it could open the mark."""
    program = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from aideator_gateway.backends.workdir import WorkDirectory\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))\n"
        "try:\n"
        "    WorkDirectory(Path(sys.argv[1]), 'gw_mine').make('run_1')\n"
        "except OSError:\n"
        "    print('not marked')\n"
    )
    work = tmp_path / "work"
    words = [sys.executable, "-B", "-c", program, str(work)]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "not marked\n"
    assert len(list(work.iterdir())) == 1
    asyncio.run(WorkDirectory(work, "gw_theirs").clear(lambda _: False))
    assert list(work.iterdir()) == []


def test_a_sandbox_that_cannot_be_removed_stays_marked(tmp_path: Path) -> None:
    """What is left is removed the next time, so it must go on to say whose it is."""
    work = WorkDirectory(tmp_path / "work", "gw_mine")
    directory = work.make("run_1")
    busy = directory / "busy"
    busy.mkdir()
    inside = os.open(busy, os.O_RDONLY)
    stop = threading.Event()

    def keep_writing() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            with contextlib.suppress(OSError):
                os.close(os.open(str(number), os.O_WRONLY | os.O_CREAT, dir_fd=inside))

    for number in range(2000):
        (busy / f"file {number}").touch()
    writer = threading.Thread(target=keep_writing)
    writer.start()

    async def remove() -> None:
        work.remove(directory)
        await asyncio.sleep(0.5)
        assert {owner_of(left) for left in (tmp_path / "work").iterdir()} <= {"gw_mine"}

    try:
        asyncio.run(remove())
    finally:
        stop.set()
        writer.join()
        os.close(inside)
    asyncio.run(work.aclose())
    assert not (tmp_path / "work").exists()


def test_whoever_looks_whether_somebody_serves_is_in_nobodys_way(tmp_path: Path) -> None:
    lock = tmp_path / "aideator.lock"
    lock.touch()
    looking = os.open(lock, os.O_RDONLY)
    fcntl.flock(looking, fcntl.LOCK_SH)
    assert not is_served(tmp_path)

    async def serve_while_another_looks() -> None:
        asyncio.get_running_loop().call_later(0.2, os.close, looking)
        async with sole_server(tmp_path, ""):
            assert is_served(tmp_path)

    asyncio.run(serve_while_another_looks())
    assert not is_served(tmp_path)


def test_readers_do_not_wait_for_a_gateway_that_writes(repository: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    run("run", str(repository), "x", "-n", "1", *DEMO, "--data-dir", str(data), cwd=tmp_path)
    with closing(sqlite3.connect(data / "aideator.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        out = run("list", "--data-dir", str(data), cwd=tmp_path).stdout
    assert b"completed" in out
