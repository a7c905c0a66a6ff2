"""The patch: git takes it on a fresh checkout of the base commit, and gets the same files."""

import asyncio
import os
import shutil
import stat
import subprocess
import time
from collections.abc import Callable, Collection
from pathlib import Path

import pytest

from aideator.agent.git import Git, GitError
from aideator.agent.patch import Patch, Patcher
from aideator.protocol import MAX_PATCH_BYTES
from tests.agent.sandbox import Sandbox
from tests.support.repositories import git

Change = Callable[[Path], object]

BASE: dict[str, str | bytes] = {
    "README.md": "# Tea\n\nHot.\n",
    "src/a.py": "".join(f"line {n}\n" for n in range(50)),
    "logo.png": bytes(range(256)) * 20,
    "crlf.txt": b"one\r\ntwo\r\n",
    "latin.txt": "caf\u00e9\n".encode("latin-1"),
    "no-newline": "end",
    "empty": "",
    "run.sh": "#!/bin/sh\n",
}


def patch_of(
    sandbox: Sandbox,
    change: Change,
    *,
    before: Change | None = None,
    written: Collection[str] = (),
    max_bytes: int = MAX_PATCH_BYTES,
) -> Patch:
    """Change the workspace between two snapshots and return the patch."""
    scratch = sandbox.directory / "scratch"
    scratch.mkdir()

    async def take() -> Patch:
        patcher = Patcher(Git(sandbox.git_dir, sandbox.workspace, scratch), max_bytes)
        if before is not None:
            before(sandbox.workspace)
        await patcher.start()
        change(sandbox.workspace)
        return await patcher.finish(written)

    return asyncio.run(take())


def contents(tree: Path) -> dict[str, tuple[int, bytes]]:
    """Return mode and content of every file, and the target of every link."""
    found = {}
    for path in tree.rglob("*"):
        name = str(path.relative_to(tree))
        if name == ".git" or name.startswith(".git/") or (path.is_dir() and not path.is_symlink()):
            continue
        if path.is_symlink():
            found[name] = (0, os.fsencode(path.readlink()))
        else:
            found[name] = (stat.S_IMODE(path.stat().st_mode) & 0o111, path.read_bytes())
    return found


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    return Sandbox(tmp_path, BASE)


def edit(tree: Path) -> None:
    (tree / "README.md").write_text("# Tea\n\nVery hot.\n")
    (tree / "latin.txt").write_bytes(b"caf\xe9s\n")
    (tree / "crlf.txt").write_bytes(b"one\r\n2\r\n")
    (tree / "no-newline").write_text("other end")


def create(tree: Path) -> None:
    (tree / "new/deep").mkdir(parents=True)
    (tree / "new/deep/file.txt").write_text("new\n")
    (tree / "new/empty").write_text("")
    (tree / "new/no-newline").write_text("x")
    (tree / "new/script").write_text("#!/bin/sh\n")
    (tree / "new/script").chmod(0o755)
    (tree / "new/blob").write_bytes(bytes(range(256)))


def delete(tree: Path) -> None:
    for name in ("README.md", "logo.png", "empty"):
        (tree / name).unlink()


def rename(tree: Path) -> None:
    (tree / "src/a.py").rename(tree / "src/b.py")
    (tree / "logo.png").rename(tree / "picture.png")


def change_modes(tree: Path) -> None:
    (tree / "run.sh").chmod(0o755)


def link(tree: Path) -> None:
    (tree / "link").symlink_to("src/a.py")
    (tree / "README.md").unlink()
    (tree / "README.md").symlink_to("/etc/passwd")


def oddly_named(tree: Path) -> None:
    for name in (" a b ", 'quo"te', "new\nline", "tab\t", "-dash", "*", ":(top)x", "back\\slash"):
        (tree / name).write_text(name)
    (tree / os.fsdecode(b"latin-\xe9")).write_text("x")


def swap_file_and_directory(tree: Path) -> None:
    (tree / "README.md").unlink()
    (tree / "README.md").mkdir()
    (tree / "README.md/inside").write_text("x")
    shutil.rmtree(tree / "src")
    (tree / "src").write_text("now a file\n")


def binary(tree: Path) -> None:
    (tree / "logo.png").write_bytes(bytes(range(255, -1, -1)) * 20)


@pytest.mark.parametrize(
    ("change", "files"),
    [
        (edit, 4), (create, 5), (delete, 3), (rename, 2), (change_modes, 1), (link, 2),
        (oddly_named, 9), (swap_file_and_directory, 4), (binary, 1),
    ],
)  # fmt: skip
def test_git_apply_takes_it(sandbox: Sandbox, change: Change, files: int) -> None:
    patch = patch_of(sandbox, change)
    fresh = sandbox.fresh()
    git(fresh, "apply", "--whitespace=nowarn", "-", stdin=patch.diff)
    assert contents(fresh) == contents(sandbox.workspace)
    assert patch.size == len(patch.diff)
    assert patch.files == files


def test_lines_are_counted(sandbox: Sandbox) -> None:
    patch = patch_of(sandbox, edit)
    assert (patch.insertions, patch.deletions) == (4, 4)


def test_renames_are_told_as_such(sandbox: Sandbox) -> None:
    diff = patch_of(sandbox, rename).diff
    assert b"rename from src/a.py\nrename to src/b.py\n" in diff


def test_no_change_is_an_empty_patch(sandbox: Sandbox) -> None:
    def touch(tree: Path) -> None:
        (tree / "README.md").touch()

    assert patch_of(sandbox, touch) == Patch()


def test_what_was_there_before_the_agent_is_not_in_it(sandbox: Sandbox) -> None:
    def prepare(tree: Path) -> None:
        (tree / "set-up").write_text("made before\n")
        (tree / "README.md").write_text("# Changed before\n")
        (tree / "empty").unlink()
        (tree / "run.sh").chmod(0o755)

    def change(tree: Path) -> None:
        (tree / "src/a.py").write_text("x = 2\n")

    patch = patch_of(sandbox, change, before=prepare)
    assert patch.files == 1
    assert b"set-up" not in patch.diff
    git(sandbox.fresh(), "apply", "-", stdin=patch.diff)


def test_a_file_that_was_changed_before_is_compared_with_the_base(sandbox: Sandbox) -> None:
    def prepare(tree: Path) -> None:
        (tree / "README.md").write_text("# Tea\n\nHot.\nBefore.\n")

    def change(tree: Path) -> None:
        (tree / "README.md").write_text("# Tea\n\nHot.\nBefore.\nAfter.\n")

    patch = patch_of(sandbox, change, before=prepare)
    fresh = sandbox.fresh()
    git(fresh, "apply", "-", stdin=patch.diff)
    assert (fresh / "README.md").read_text() == "# Tea\n\nHot.\nBefore.\nAfter.\n"


def test_ignored_files_count_only_if_a_tool_wrote_them(sandbox: Sandbox) -> None:
    sandbox.put(".gitignore", "*.log\nout/\n")
    sandbox.commit()

    def change(tree: Path) -> None:
        (tree / "out").mkdir()
        (tree / "out/wanted").write_text("wanted\n")
        (tree / "*").write_text("literally a star\n")
        (tree / "unwanted.log").write_text("unwanted\n")

    patch = patch_of(sandbox, change, written=["out/wanted", "*"])
    fresh = sandbox.fresh()
    git(fresh, "apply", "-", stdin=patch.diff)
    assert (fresh / "out/wanted").read_text() == "wanted\n"
    assert b"unwanted" not in patch.diff


def test_what_cannot_be_read_is_told_and_costs_nothing_else(sandbox: Sandbox) -> None:
    def change(tree: Path) -> None:
        for name in ("a", "b", "c"):
            (tree / name).write_text(name)
        (tree / "b").unlink()
        (tree / "b").mkdir()
        (tree / "c").unlink()
        (tree / "c").symlink_to("nowhere")

    patch = patch_of(sandbox, change, written=["README.md", "a", "b", "c"])
    assert b"+a\n" in patch.diff
    assert patch.left_out == ("b", "c")


def test_too_long_a_patch_is_only_counted(sandbox: Sandbox) -> None:
    def change(tree: Path) -> None:
        (tree / "long").write_text("x\n" * 100_000)

    patch = patch_of(sandbox, change, max_bytes=10_000)
    assert patch.too_long
    assert patch.diff == b""
    assert patch.size > 10_000
    assert (patch.files, patch.insertions) == (1, 100_000)


HOSTILE_ATTRIBUTES = """\
*.md diff=evil filter=evil merge=evil
*.txt text eol=crlf
*.py working-tree-encoding=UTF-16
*.sh ident -diff
"""


def test_attributes_and_configuration_of_the_repository_are_harmless(sandbox: Sandbox) -> None:
    sandbox.put(".gitattributes", HOSTILE_ATTRIBUTES)
    marker = sandbox.directory / "executed"
    for name in ("diff.evil.command", "diff.evil.textconv", "diff.external", "core.fsmonitor"):
        git(sandbox.directory, f"--git-dir={sandbox.git_dir}", "config", name, f"touch {marker};")
    for name, value in (
        ("diff.noprefix", "true"), ("diff.mnemonicPrefix", "true"), ("color.ui", "always"),
        ("core.autocrlf", "true"), ("diff.renames", "false"), ("core.quotePath", "false"),
        ("diff.context", "0"), ("diff.orderFile", str(marker)), ("core.pager", "touch x"),
    ):  # fmt: skip
        git(sandbox.directory, f"--git-dir={sandbox.git_dir}", "config", name, value)

    def change(tree: Path) -> None:
        (tree / "README.md").write_text("# Tea\n\nVery hot.\n")
        (tree / "crlf.txt").write_bytes(b"one\r\n2\r\n")
        (tree / "run.sh").write_text("#!/bin/bash\n")

    patch = patch_of(sandbox, change)
    assert patch.diff.startswith(b"diff --git a/")
    assert b"\x1b" not in patch.diff
    assert b"-Hot.\n+Very hot.\n" in patch.diff
    assert not marker.exists()
    git(sandbox.fresh(), "apply", "--whitespace=nowarn", "-", stdin=patch.diff)


def test_what_git_does_not_take_is_told_and_the_rest_is_kept(sandbox: Sandbox) -> None:
    scratch = sandbox.directory / "scratch"
    scratch.mkdir()

    async def take() -> tuple[Patch, str]:
        patcher = Patcher(Git(sandbox.git_dir, sandbox.workspace, scratch), MAX_PATCH_BYTES)
        await patcher.start()
        os.mkfifo(sandbox.workspace / "fifo")
        sandbox.put("git~1/x", "git takes this name for its own directory")
        sandbox.put("README.md", "changed\n")
        sandbox.put("z", "last")
        return await patcher.finish([]), patcher.unreadable

    patch, unreadable = asyncio.run(take())
    assert "git~1/x" in unreadable
    assert patch.files == 2
    git(sandbox.fresh(), "apply", "-", stdin=patch.diff)


def test_a_directory_that_is_a_repository_is_left_alone(sandbox: Sandbox) -> None:
    def change(tree: Path) -> None:
        git(tree, "init", "--quiet", "nested")
        (tree / "nested/file").write_text("x")
        git(tree / "nested", "add", "file")
        git(tree / "nested", "commit", "--quiet", "--message=Nested")
        (tree / "README.md").write_text("changed\n")

    patch = patch_of(sandbox, change)
    assert b"nested" not in patch.diff
    assert patch.files == 1


def test_the_git_directory_is_only_read(sandbox: Sandbox) -> None:
    before = contents(sandbox.git_dir)
    assert patch_of(sandbox, edit).files == 4
    assert contents(sandbox.git_dir) == before


def test_a_linked_worktrees_git_directory_works_too(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, BASE)
    tree = tmp_path / "linked"
    git(tmp_path, f"--git-dir={sandbox.git_dir}", "worktree", "add", "--quiet", str(tree))
    sandbox.git_dir, sandbox.workspace = sandbox.git_dir / "worktrees" / "linked", tree
    (tree / ".git").unlink()
    assert patch_of(sandbox, edit).files == 4


def test_a_git_directory_that_is_none_is_an_error(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, {"a": "b"})
    shutil.rmtree(sandbox.git_dir)
    sandbox.git_dir.mkdir()
    with pytest.raises(GitError, match="not a git repository"):
        patch_of(sandbox, edit)


def test_a_repository_of_sha256_works(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, BASE)
    shutil.rmtree(sandbox.git_dir)
    made = subprocess.run(
        ["git", "init", "--quiet", "--object-format=sha256", str(sandbox.workspace)], check=False
    )
    if made.returncode:
        pytest.skip("this git makes no SHA-256 repositories")
    git(sandbox.workspace, "add", "--all")
    git(sandbox.workspace, "commit", "--quiet", "--message=Base")
    (sandbox.workspace / ".git").rename(sandbox.git_dir)
    patch = patch_of(sandbox, swap_file_and_directory)
    fresh = sandbox.fresh()
    git(fresh, "apply", "--whitespace=nowarn", "-", stdin=patch.diff)
    assert contents(fresh) == contents(sandbox.workspace)


def checked_out(sandbox: Sandbox) -> tuple[Path, Path]:
    """Return a new checkout, and the index that knows its files."""
    tree, index = sandbox.directory / "tree", sandbox.directory / "index"
    tree.mkdir()
    environment = {**os.environ, "GIT_INDEX_FILE": str(index)}
    words = ["--git-dir", str(sandbox.git_dir), "--work-tree", str(tree)]
    subprocess.run(
        ["git", *words, "read-tree", "-m", "-u", "HEAD"], env=environment, check=True, timeout=60
    )
    return tree, index


def patch_by_index(sandbox: Sandbox, tree: Path, index: Path, change: Change) -> Patch:
    scratch = sandbox.directory / "scratch"
    scratch.mkdir()

    async def take() -> Patch:
        patcher = Patcher(Git(sandbox.git_dir, tree, scratch, index), MAX_PATCH_BYTES)
        await patcher.start()
        change(tree)
        return await patcher.finish(())

    return asyncio.run(take())


def test_with_an_index_of_the_workspace_the_patch_is_the_same(sandbox: Sandbox) -> None:
    tree, index = checked_out(sandbox)
    known = patch_by_index(sandbox, tree, index, edit)
    shutil.rmtree(sandbox.directory / "scratch")
    assert known.diff == patch_of(sandbox, edit).diff
    assert known.files == 4


def set_times(sandbox: Sandbox, tree: Path, index: Path, seconds: int) -> None:
    """Have all files changed last at one time, and the index know it."""
    for file in tree.rglob("*"):
        os.utime(file, (seconds, seconds))
    environment = {**os.environ, "GIT_INDEX_FILE": str(index)}
    words = ["--git-dir", str(sandbox.git_dir), "--work-tree", str(tree)]
    subprocess.run(
        ["git", *words, "update-index", "--refresh"], env=environment, check=True, timeout=60
    )


@pytest.mark.parametrize("copied", [False, True])
def test_a_change_of_the_same_second_and_length_is_seen(sandbox: Sandbox, copied: bool) -> None:
    tree, index = checked_out(sandbox)
    # As if all that follows were done within one second, which is still to come.
    seconds = int(time.time()) + 100
    set_times(sandbox, tree, index, seconds)
    if copied:
        shutil.copytree(tree, tree.with_name("copy"), symlinks=True)
        tree = tree.with_name("copy")

    def other_word(tree: Path) -> None:
        (tree / "README.md").write_text("# Tea\n\nRed.\n")
        os.utime(tree / "README.md", (seconds, seconds))

    patch = patch_by_index(sandbox, tree, index, other_word)
    assert b"-Hot.\n+Red." in patch.diff
    assert patch.files == 1


@pytest.mark.parametrize("known", [True, False])
def test_files_that_an_index_knows_are_not_read(sandbox: Sandbox, known: bool) -> None:
    """Else each attempt would read the whole repository, which takes longer than all before it."""
    tree, index = checked_out(sandbox)
    set_times(sandbox, tree, index, 1000)
    # Something that no editor does tells whether a file was read.
    (tree / "README.md").write_text("# Tea\n\nRed.\n")
    os.utime(tree / "README.md", (1000, 1000))
    scratch = sandbox.directory / "scratch"
    scratch.mkdir()
    patcher = Patcher(
        Git(sandbox.git_dir, tree, scratch, index if known else None), MAX_PATCH_BYTES
    )
    asyncio.run(patcher.start())
    found = {}
    for file in (index, scratch / "workspace.index"):
        environment = {**os.environ, "GIT_INDEX_FILE": str(file)}
        words = ["git", "--git-dir", str(sandbox.git_dir), "ls-files", "--stage", "README.md"]
        done = subprocess.run(words, env=environment, check=True, timeout=60, capture_output=True)
        found[file] = done.stdout
    assert (len(set(found.values())) == 1) == known
