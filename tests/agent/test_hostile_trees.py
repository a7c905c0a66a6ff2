"""Whatever a tree holds and a model asks for: nothing outside is shown or changed."""

import asyncio
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aideator.agent.git import Git
from aideator.agent.patch import Patcher
from aideator.agent.tools import ToolError, Tools
from aideator.agent.workspace import Workspace
from tests.agent.sandbox import Sandbox

SECRET = "the-secret-outside"  # noqa: S105  # It only has to be told apart.

NAMES = ("a", "b", "src", ".git", ".GIT", ".gitignore", "c\u00e9", "-x", "*", "d d", "new\nline")
TARGETS = (
    "..", "../outside", "../outside/secret", "../../..", "/etc", "/", ".", "a", "src/a", "b/..",
    ".git", "../base.git/HEAD", "../outside/new", "{root}", "{root}/../outside",
)  # fmt: skip
PARTS = (*NAMES, "..", ".", "", "outside", "secret", "base.git", "HEAD", "~", "x" * 300, "\0")
ROOTS = ("", "", "/repo/", "/", "{root}/", "{root}/../", "/repo/../", "//", "file://", "~/")

entries = st.lists(
    st.tuples(
        st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map("/".join),
        st.one_of(
            st.just("directory"),
            st.just("fifo"),
            st.tuples(st.just("file"), st.binary(max_size=40)),
            st.tuples(st.just("link"), st.sampled_from(TARGETS)),
        ),
    ),
    max_size=8,
)
paths = st.builds(
    lambda root, parts: root + "/".join(parts),
    st.sampled_from(ROOTS),
    st.lists(st.sampled_from(PARTS), max_size=4),
)
words = st.sampled_from(["", "secret", "x", "a\nb", "(", ".*", "\x00", "e"])
calls = st.lists(
    st.one_of(
        st.fixed_dictionaries({"tool": st.just("list_files"), "path": paths, "pattern": words}),
        st.fixed_dictionaries({"tool": st.just("search_text"), "path": paths, "pattern": words}),
        st.fixed_dictionaries(
            {
                "tool": st.just("str_replace_based_edit_tool"),
                "command": st.sampled_from(["view", "create", "str_replace", "insert"]),
                "path": paths,
                "file_text": words,
                "old_str": words,
                "new_str": words,
                "insert_line": st.integers(-1, 3),
                "insert_text": words,
            }
        ),
    ),
    min_size=1,
    max_size=6,
)


def plant(root: Path, name: str, what: Any) -> None:
    """Put an entry into the tree, unless one before it is in the way."""
    path = root / name
    try:
        if os.path.lexists(path) or not path.parent.resolve().is_relative_to(root):
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        match what:
            case "directory":
                path.mkdir()
            # Git itself waits for a pipe in place of its ignore file, up to our time limit.
            case "fifo" if path.name != ".gitignore":
                os.mkfifo(path)
            case ("file", content):
                path.write_bytes(content)
            case ("link", target):
                path.symlink_to(target.format(root=root))
    except OSError:
        pass


def outside(directory: Path) -> dict[str, bytes]:
    """Return all files beside the workspace that nobody may change."""
    return {
        str(path): path.read_bytes()
        for name in ("outside", "base.git")
        for path in (directory / name).rglob("*")
        if path.is_file()
    }


def repository(root: Path) -> dict[str, bytes]:
    """Return all files in any ``.git`` of the tree."""
    return {
        str(path): path.read_bytes()
        for path in root.rglob("*")
        if ".git" in {part.lower() for part in path.relative_to(root).parts}
        and path.is_file()
        and not path.is_symlink()
    }


async def use(directory: Path, wanted: list[dict[str, Any]]) -> list[str]:
    """Make the calls, take the patch, and return all that could be read."""
    workspace = Workspace(directory / "workspace")
    git = Git(directory / "base.git", workspace.root, directory / "scratch")
    patcher = Patcher(git, 1_000_000)
    ready = asyncio.create_task(patcher.start())
    tools = Tools(git, workspace, "plain", ready)
    seen = []
    for call in wanted:
        asked = {**call, "path": call["path"].replace("{root}", str(workspace.root))}
        try:
            seen.append(await tools.run(asked.pop("tool"), asked))
        except ToolError as error:
            seen.append(str(error))
    await ready
    patch = await patcher.finish(workspace.written)
    seen.append(patch.diff.decode("utf-8", "replace"))
    return seen


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
@given(tree=entries, wanted=calls)
def test_nothing_outside_is_shown_or_changed(
    tree: list[tuple[str, Any]], wanted: list[dict[str, Any]]
) -> None:
    directory = Path(tempfile.mkdtemp(prefix="aideator-test-"))
    try:
        sandbox = Sandbox(directory, {"README.md": "# Tea\n"})
        (directory / "outside").mkdir()
        (directory / "scratch").mkdir()
        (directory / "outside" / "secret").write_text(f"{SECRET}\nx\n")
        for name, what in tree:
            plant(sandbox.workspace, name, what)
        before = outside(directory), repository(sandbox.workspace)
        seen = asyncio.run(use(directory, wanted))
        assert SECRET not in "".join(seen)
        assert "root:x:0" not in "".join(seen)
        assert (outside(directory), repository(sandbox.workspace)) == before
    finally:
        shutil.rmtree(directory)
