"""A variation's tree, in each way it can be made: its changes are its own, whoever sees them."""

import asyncio
import base64
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aideator_gateway.backends.children import plain_environment, run
from aideator_gateway.backends.local.checks import Checks
from aideator_gateway.backends.local.sandbox import bubblewrap_command, bubblewrap_problem
from aideator_gateway.backends.local.tree import OverlayTree, Tree
from aideator_gateway.backends.local.trees import Trees, Way
from aideator_gateway.backends.workdir import WorkDirectory
from aideator_gateway.settings import Settings

SECONDS = 60.0

BASE = {"a.txt": "a\n", "run.sh": "#!/bin/sh\n", "d/b.txt": "b\n", "d/e/c.txt": "c\n", "f/g": "g\n"}

CHANGES = """
set -e
echo more >> a.txt
rm -r f
mv d/b.txt moved.txt
chmod +x d/e/c.txt
mkdir -p f/new
echo made > f/new/file
ln -s a.txt link
"""

AFTER = {
    "a.txt": "a\nmore\n", "run.sh": "#!/bin/sh\n", "moved.txt": "b\n", "d/e/c.txt": "c\n",
    "f/new/file": "made\n", "link": "a\nmore\n",
}  # fmt: skip


def contents(path: Path) -> dict[str, str]:
    return {
        str(file.relative_to(path)): file.read_text() for file in path.rglob("*") if file.is_file()
    }


@contextmanager
def reflinks(path: Path) -> Iterator[Path]:
    """Mount a file system on which files can share their content, or skip the test."""
    image = path.with_suffix(".image")
    with image.open("wb") as file:
        file.truncate(400 * 1024 * 1024)
    path.mkdir()
    try:
        for words in (
            ["mkfs.xfs", "-q", "-m", "reflink=1", str(image)],
            ["mount", "-o", "loop", str(image), str(path)],
        ):
            subprocess.run(words, check=True, capture_output=True, timeout=60)
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        pytest.skip(f"there is no file system with reflinks: {error}")
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True, timeout=60)


class Place:
    """A commit's files, and trees of them."""

    def __init__(self, directory: Path, way: Way) -> None:
        self._directory = directory
        self.base = directory / "base"
        for name, text in BASE.items():
            file = self.base / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        (self.base / "run.sh").chmod(0o755)
        self._trees = Trees(WorkDirectory(directory / "work", "gw_1"), [way])

    async def tree(self, name: str) -> Tree:
        sandbox = self._directory / name
        sandbox.mkdir()
        return await self._trees.make(
            self.base, sandbox / "repo", self._directory / f"layer-{name}"
        )


async def at(tree: Tree, script: str, *, bubblewrap: bool) -> str:
    """Run a script in a tree as an agent is run, and return what it said."""
    argv = ["sh", "-c", f'cd "$1"; {script}', "sh", str(tree.path)]
    if bubblewrap:
        options = tree.bubblewrap_options
        argv = [*bubblewrap_command(tree.path.parent, options=options), *argv]
    words = tree.seen_by(argv, as_itself=not bubblewrap)
    ended = await run(*words, environment=plain_environment(), seconds=SECONDS)
    assert ended.code == 0, ended
    return ended.stdout.decode()


async def seen(tree: Tree, *, bubblewrap: bool) -> dict[str, str]:
    """Return what a later program finds in a tree."""
    script = 'find . -type f -o -type l | while read -r f; do echo "$f|$(cat "$f" | base64)"; done'
    lines = (await at(tree, script, bubblewrap=bubblewrap)).splitlines()
    found = (line.removeprefix("./").split("|") for line in lines)
    return {name: base64.b64decode(text).decode() for name, text in found}


@pytest.fixture(params=["bubblewrap", "process"])
def bubblewrap(request: pytest.FixtureRequest) -> bool:
    if request.param == "process":
        return False
    if problem := asyncio.run(bubblewrap_problem()):
        pytest.skip(problem)
    return True


@pytest.fixture(params=[Way.BUBBLEWRAP_OVERLAY, Way.OVERLAY, Way.REFLINK, Way.COPY])
def place(request: pytest.FixtureRequest, tmp_path: Path, bubblewrap: bool) -> Iterator[Place]:
    way: Way = request.param
    if way is Way.REFLINK:
        with reflinks(tmp_path / "disk") as disk:
            yield Place(disk / "place", way)
        return
    if way is Way.BUBBLEWRAP_OVERLAY:
        if not bubblewrap or os.geteuid() == 0:
            pytest.skip("without bubblewrap, and as root, it is not used")
        words = ["bwrap", "--help"]
        if (
            "--overlay-src"
            not in subprocess.run(words, capture_output=True, text=True, check=False).stdout
        ):
            pytest.skip("this bubblewrap has no overlays")
    if way is Way.OVERLAY and not overlays():
        pytest.skip("there are no overlays here")
    yield Place(tmp_path / "place", way)


def overlays() -> bool:
    words = ["unshare", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"]), "--mount"]
    try:
        return subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def test_what_is_changed_in_a_tree_is_changed_nowhere_else(place: Place, bubblewrap: bool) -> None:
    async def scene() -> None:
        first, second = await place.tree("first"), await place.tree("second")
        assert await seen(first, bubblewrap=bubblewrap) == BASE
        await at(first, CHANGES, bubblewrap=bubblewrap)
        assert await seen(first, bubblewrap=bubblewrap) == AFTER
        assert await seen(second, bubblewrap=bubblewrap) == BASE
        assert contents(place.base) == BASE
        assert not os.access(place.base / "d/e/c.txt", os.X_OK)
        # A tree that is begun later is the commit's as well.
        third = await place.tree("third")
        await at(second, "rm -r *; echo other > a.txt", bubblewrap=bubblewrap)
        assert await seen(second, bubblewrap=bubblewrap) == {"a.txt": "other\n"}
        assert await seen(third, bubblewrap=bubblewrap) == BASE
        assert await seen(first, bubblewrap=bubblewrap) == AFTER
        assert contents(place.base) == BASE

    asyncio.run(scene())


def test_who_works_in_a_tree_is_who_started_it(place: Place, bubblewrap: bool) -> None:
    async def scene() -> None:
        tree = await place.tree("first")
        said = await at(
            tree, "id -u; id -g; stat -c %u:%g:%a a.txt . run.sh", bubblewrap=bubblewrap
        )
        ids = f"{os.geteuid()}:{os.getegid()}"
        assert said.split() == [*ids.split(":"), f"{ids}:644", f"{ids}:755", f"{ids}:755"]

    asyncio.run(scene())


def test_a_check_sees_what_was_left_and_changes_only_that(
    place: Place, bubblewrap: bool, tmp_path: Path
) -> None:
    settings = Settings(data_dir=tmp_path, check_unsandboxed=not bubblewrap)
    checks = Checks(settings)
    command = (
        'find . -type f | sort; echo changed >a.txt && rm -r d && mkdir d2 && touch "d2/$(id -u)"'
    )

    async def scene() -> None:
        await checks.start(None if bubblewrap else "it is not installed")
        assert checks.problem is None
        tree = await place.tree("first")
        await at(tree, CHANGES, bubblewrap=bubblewrap)
        directory = tree.path.parent.with_name("check")
        result = await checks.check(command, tree, directory, asyncio.Event(), seconds=SECONDS)
        assert result.passed, result
        assert result.output.split() == [
            "./a.txt", "./d/e/c.txt", "./f/new/file", "./moved.txt", "./run.sh"
        ]  # fmt: skip
        assert contents(place.base) == BASE
        assert {path.lstat().st_uid for path in place.base.rglob("*")} == {os.geteuid()}

    asyncio.run(scene())


def test_all_that_a_tree_takes_can_be_removed(place: Place, bubblewrap: bool) -> None:
    async def scene() -> None:
        tree = await place.tree("first")
        await at(tree, CHANGES, bubblewrap=bubblewrap)
        work = WorkDirectory(place.base.parent / "out", "gw_1")
        for path in (tree.path.parent, place.base.parent / "layer-first"):
            if path.exists():
                work.take_away(path)
        await work.aclose()
        assert not (place.base.parent / "out").exists()
        assert contents(place.base) == BASE

    asyncio.run(scene())


@pytest.mark.skipif(os.geteuid() != 0, reason="all of it is an ordinary user's")
def test_an_ordinary_user_has_overlays_of_its_own_as_well(tmp_path: Path) -> None:
    """Root needs no user namespace for them, so that the tests above say nothing of those."""
    user = ["unshare", "--user", "--map-user=1000", "--map-group=1000", "--"]
    mounts = [*user, "unshare", "--user", "--map-root-user", "--mount", "true"]
    if subprocess.run(mounts, capture_output=True, check=False).returncode != 0:
        pytest.skip("there are no user namespaces here")
    names = "changed_nowhere_else or who_started_it or check_sees or can_be_removed"
    done = subprocess.run(
        [
            *user, sys.executable, "-m", "pytest", "-n0", "-q", "-rs", "-p", "no:cacheprovider",
            f"--basetemp={tmp_path / 'user'}", "-k", f"({names}) and {Way.OVERLAY}", __file__,
        ],
        capture_output=True, text=True, check=False, timeout=SECONDS,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout, done.stdout


def chosen(tmp_path: Path, works: Callable[[Tree], bool], *, bubblewrap: bool = True) -> str:
    """Return how copies are made where only some trees work."""

    async def try_it(tree: Tree) -> str | None:
        return None if works(tree) else "it does not work"

    async def scene() -> str:
        work = WorkDirectory(tmp_path / "work", "gw_1")
        trees = Trees(work)
        assert trees.copies == "copy"
        await trees.start(try_it, bubblewrap=bubblewrap)
        await work.aclose()
        return trees.copies

    return asyncio.run(scene())


def test_the_first_way_that_works_is_taken(tmp_path: Path) -> None:
    assert chosen(tmp_path, lambda _: True) == "overlay"
    assert chosen(tmp_path, lambda _: True, bubblewrap=False) == "overlay"
    plain = chosen(tmp_path, lambda tree: not isinstance(tree, OverlayTree))
    assert plain in ("reflink", "copy")
    assert chosen(tmp_path, lambda _: False) == "copy"
    assert not (tmp_path / "work").exists()


def test_a_way_that_would_change_the_commit_is_not_taken(tmp_path: Path) -> None:
    def harmful(tree: Tree) -> bool:
        base = tree.lower if isinstance(tree, OverlayTree) else tree.path.parents[1] / "base"
        (base / "kept").write_text("changed")
        return True

    assert chosen(tmp_path, harmful) == "copy"


@pytest.mark.skipif(not shutil.which("unshare"), reason="there is no unshare")
def test_the_names_of_directories_mean_nothing_to_an_overlay(tmp_path: Path) -> None:
    if not overlays():
        pytest.skip("there are no overlays here")
    directory = tmp_path / "a,b:c\\d 'e\" $f"

    async def scene() -> None:
        place = Place(directory, Way.OVERLAY)
        tree = await place.tree("first")
        await at(tree, CHANGES, bubblewrap=False)
        assert await seen(tree, bubblewrap=False) == AFTER
        assert contents(place.base) == BASE

    asyncio.run(scene())
