"""The tools, on real files."""

import asyncio
import json
import os
import stat
import time
from typing import Any

import pytest

from aideator.agent.git import Git
from aideator.agent.patch import Patcher
from aideator.agent.tools import ToolError, Tools
from aideator.agent.tools.search_text import SearchText
from aideator.agent.workspace import Workspace
from aideator.protocol import EditorTool
from tests.agent.sandbox import Sandbox

EDITOR = "str_replace_based_edit_tool"


class Bench:
    """Calls tools one by one, as the loop does."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.workspace = Workspace(sandbox.workspace)
        self.scratch = sandbox.directory / "scratch"
        self.scratch.mkdir()

    async def _call(self, kind: EditorTool, name: str, given: dict[str, Any]) -> str:
        git = Git(self.sandbox.git_dir, self.workspace.root, self.scratch)
        ready = asyncio.create_task(Patcher(git, 1000).start())
        return await Tools(git, self.workspace, kind, ready).run(name, given)

    def call(self, name: str, **given: Any) -> str:
        return asyncio.run(self._call("native", name, given))

    def edit(self, command: str, path: str, **given: Any) -> str:
        return self.call(EDITOR, command=command, path=path, **given)

    def error(self, name: str, **given: Any) -> str:
        with pytest.raises(ToolError) as caught:
            self.call(name, **given)
        return str(caught.value)

    def read(self, name: str) -> bytes:
        return (self.sandbox.workspace / name).read_bytes()


@pytest.fixture
def bench(sandbox: Sandbox) -> Bench:
    return Bench(sandbox)


# Looking around.


def test_list_leaves_out_what_is_ignored_and_what_is_gone(bench: Bench) -> None:
    bench.sandbox.put("gone.txt", "x")
    bench.sandbox.put("build/kept.txt", "tracked although ignored")
    bench.sandbox.put(".gitignore", "*.log\nbuild/\n")
    bench.sandbox.commit()
    bench.sandbox.put("new file.txt", "x")
    bench.sandbox.put("x.log", "x")
    (bench.sandbox.workspace / "gone.txt").unlink()
    assert bench.call("list_files").split("\n") == [
        ".gitignore", "README.md", "build/kept.txt", "new file.txt", "src/a.py",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "files"),
    [
        ({"path": "src"}, ["src/a.py", "src/deep/b.py", "src/deep/c.txt"]),
        ({"path": "/repo/src/"}, ["src/a.py", "src/deep/b.py", "src/deep/c.txt"]),
        ({"path": "src/a.py"}, ["src/a.py"]),
        ({"pattern": "*.py"}, ["src/a.py", "src/deep/b.py"]),
        ({"pattern": "src/*.py"}, ["src/a.py"]),
        ({"pattern": "src/**/*.py"}, ["src/a.py", "src/deep/b.py"]),
        ({"path": "src", "pattern": "deep/*"}, ["src/deep/b.py", "src/deep/c.txt"]),
        ({"path": "odd [x]*", "pattern": "*"}, ["odd [x]*/f"]),
        ({"pattern": "*.rs"}, ["No files match."]),
        ({"pattern": ":(attr:x)*"}, ["No files match."]),
    ],
)
def test_list_narrows(bench: Bench, given: dict[str, str], files: list[str]) -> None:
    for name in ("src/deep/b.py", "src/deep/c.txt", "odd [x]*/f", "odd x/g"):
        bench.sandbox.put(name, "")
    assert bench.call("list_files", **given).split("\n") == files


def test_list_folds_what_is_too_much_and_says_so(bench: Bench) -> None:
    for number in range(450):
        bench.sandbox.put(f"many/f{number}.txt", "")
    lines = bench.call("list_files").split("\n")
    assert lines[:3] == ["README.md", "many/ (450 files)", "src/a.py"]
    assert "452 files" in lines[3]
    lines = bench.call("list_files", path="many").split("\n")
    assert len(lines) == 401
    assert lines[-1].startswith("[cut: 50 of 450 entries are not shown.")


def test_search_finds_lines(bench: Bench) -> None:
    bench.sandbox.put("b.py", "def tea():\n    return 'Tea'\n")
    bench.sandbox.put("crlf.txt", b"one\r\ntwo tea\r\n")
    assert bench.call("search_text", pattern=r"\btea\b").split("\n") == [
        "b.py:1: def tea():",
        "crlf.txt:2: two tea",
    ]
    assert bench.call("search_text", pattern="tea", ignore_case=True, files="*.md") == (
        "README.md:1: # Tea"
    )
    assert bench.call("search_text", pattern="tea(", literal=True, path="b.py") == (
        "b.py:1: def tea():"
    )
    assert bench.call("search_text", pattern="nowhere") == "No line matches in 4 files."


def test_search_leaves_out_ignored_binary_and_special_files(bench: Bench) -> None:
    bench.sandbox.put(".gitignore", "ignored\n")
    bench.sandbox.put("ignored", "needle")
    bench.sandbox.put("binary", b"needle\0")
    bench.sandbox.put("huge", b"needle\n" + b"x" * (5 * 1024 * 1024))
    outside = bench.sandbox.directory / "outside"
    outside.write_text("needle")
    (bench.sandbox.workspace / "link").symlink_to(outside)
    os.mkfifo(bench.sandbox.workspace / "fifo")
    assert bench.call("search_text", pattern="needle").split("\n") == [
        "No line matches in 3 files.",
        "[3 binary, large or special files not searched.]",
    ]


def test_search_does_not_follow_a_directory_that_became_a_link(bench: Bench) -> None:
    outside = bench.sandbox.directory / "outside"
    outside.mkdir()
    (outside / "a.py").write_text("needle")

    async def search() -> str:
        git = Git(bench.sandbox.git_dir, bench.workspace.root, bench.scratch)
        await Patcher(git, 1000).start()
        (bench.sandbox.workspace / "src" / "a.py").unlink()
        (bench.sandbox.workspace / "src").rmdir()
        (bench.sandbox.workspace / "src").symlink_to(outside)
        return await SearchText(git, bench.workspace).run({"pattern": "needle"})

    assert asyncio.run(search()).split("\n") == [
        "No line matches in 1 files.",
        "[2 binary, large or special files not searched.]",
    ]


def test_search_is_bounded(bench: Bench) -> None:
    bench.sandbox.put("many.txt", "match\n" * 1000)
    bench.sandbox.put("wide.txt", "x" * 100_000 + "wide" + "y" * 100_000)
    lines = bench.call("search_text", pattern="match").split("\n")
    assert len(lines) == 101
    assert lines[-1].startswith("[cut after 100 matches.")
    found = bench.call("search_text", pattern="wide")
    assert "xwidey" in found
    assert len(found) < 400


def test_a_regular_expression_that_runs_for_ever_is_stopped(bench: Bench) -> None:
    bench.sandbox.put("evil.txt", "a" * 60 + "b\n")

    async def search() -> str:
        git = Git(bench.sandbox.git_dir, bench.workspace.root, bench.scratch)
        await Patcher(git, 1000).start()
        return await SearchText(git, bench.workspace, seconds=1).run({"pattern": "(a+)+$"})

    before = time.monotonic()
    assert "stopped after 1 s" in asyncio.run(search())
    assert time.monotonic() - before < 5


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"pattern": "("}, "no valid regular expression"),
        ({"pattern": ""}, "empty"),
        ({}, "pattern is missing"),
        ({"pattern": 3}, "must be a string"),
        ({"pattern": "x" * 5000}, "longer than 2000"),
        ({"pattern": "x", "literal": "no"}, "must be true or false"),
        ({"pattern": "x", "files": "a\0"}, "null character"),
        ({"pattern": "x", "path": "nowhere"}, "does not exist"),
    ],
)
def test_search_explains_what_it_cannot_do(
    bench: Bench, given: dict[str, Any], reason: str
) -> None:
    assert reason in bench.error("search_text", **given)


# Viewing.


def test_view_numbers_lines_as_other_tools_do(bench: Bench) -> None:
    bench.sandbox.put("f", "one\ftwo\u2028three\nfour")
    assert bench.edit("view", "f") == "     1\tone\ftwo\u2028three\n     2\tfour"
    assert bench.edit("view", "f", view_range=[2, -1]) == "     2\tfour"
    assert bench.edit("view", "/repo/f", view_range=[2, 999]) == "     2\tfour"
    assert bench.edit("view", "src") == "src/a.py"
    bench.sandbox.put("empty", "")
    assert bench.edit("view", "empty") == "empty is empty."


def test_view_cuts_and_says_how_to_see_the_rest(bench: Bench) -> None:
    bench.sandbox.put("long", "".join(f"line {n}\n" for n in range(1, 10_001)))
    shown = bench.edit("view", "long").split("\n")
    assert len("\n".join(shown)) < 41_000
    number = int(shown[-2].split("\t")[0]) + 1
    assert f"view_range [{number}, 10000]" in shown[-1]
    bench.sandbox.put("wide", "x" * 50_000)
    assert "the line has 50000 characters" in bench.edit("view", "wide")


@pytest.mark.parametrize(
    "view_range", [[0, 1], [3, 2], [2], "1-2", [1.5, 2], [True, 2], [9, 10], [-1, -1]]
)
def test_view_explains_a_range_that_is_none(bench: Bench, view_range: object) -> None:
    reason = bench.error(EDITOR, command="view", path="README.md", view_range=view_range)
    assert "view_range must" in reason


# Editing.


def test_str_replace_changes_one_place_and_keeps_the_mode(bench: Bench) -> None:
    path = bench.sandbox.put("run.sh", "#!/bin/sh\necho a\necho b\n")
    path.chmod(0o755)
    answer = bench.edit("str_replace", "run.sh", old_str="echo a", new_str="echo c")
    assert answer.split("\n")[1:] == ["     1\t#!/bin/sh", "     2\techo c", "     3\techo b"]
    assert bench.read("run.sh") == b"#!/bin/sh\necho c\necho b\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o755
    assert [entry.name for entry in path.parent.glob(".aideator*")] == []


def test_str_replace_refuses_what_is_not_unique_and_names_the_lines(bench: Bench) -> None:
    bench.sandbox.put("f", "a\nb\na\n")
    reason = bench.error(EDITOR, command="str_replace", path="f", old_str="a", new_str="c")
    assert "2 times" in reason
    assert "lines 1, 3" in reason
    assert bench.read("f") == b"a\nb\na\n"


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("if y:\n    z", "q", "was not found"),
        ("if x:\n  y()", "q", "white space only from line 1"),
        ("if x:\n    other()", "q", "first line is line 1"),
        ("", "q", "old_str is empty"),
        ("if x:", "if x:", "the same"),
    ],
)
def test_str_replace_explains_what_it_cannot_do(
    bench: Bench, old: str, new: str, reason: str
) -> None:
    bench.sandbox.put("f", "if x:\n    y()\n")
    answer = bench.error(EDITOR, command="str_replace", path="f", old_str=old, new_str=new)
    assert reason in answer
    assert bench.read("f") == b"if x:\n    y()\n"


def test_str_replace_without_new_str_removes(bench: Bench) -> None:
    bench.sandbox.put("f", "a\nb\n")
    bench.edit("str_replace", "f", old_str="a\n")
    assert bench.read("f") == b"b\n"
    assert "empty now" in bench.edit("str_replace", "f", old_str="b\n")


@pytest.mark.parametrize(
    ("content", "line", "text", "result"),
    [
        (b"a\nb\n", 0, "x", b"x\na\nb\n"),
        (b"a\nb\n", 1, "x\n", b"a\nx\nb\n"),
        (b"a\nb\n", 2, "x", b"a\nb\nx\n"),
        (b"a\nb", 2, "x", b"a\nb\nx"),
        (b"", 0, "x", b"x\n"),
        (b"a\r\nb\r\n", 1, "x\ny", b"a\r\nx\r\ny\r\nb\r\n"),
    ],
)
def test_insert(bench: Bench, content: bytes, line: int, text: str, result: bytes) -> None:
    bench.sandbox.put("f", content)
    bench.edit("insert", "f", insert_line=line, insert_text=text)
    assert bench.read("f") == result


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"insert_line": 3, "insert_text": "x"}, "from 0"),
        ({"insert_line": -1, "insert_text": "x"}, "from 0"),
        ({"insert_line": "1", "insert_text": "x"}, "whole number"),
        ({"insert_text": "x"}, "whole number"),
        ({"insert_line": 1}, "insert_text is missing"),
    ],
)
def test_insert_explains_what_it_cannot_do(
    bench: Bench, given: dict[str, Any], reason: str
) -> None:
    bench.sandbox.put("f", "a\nb\n")
    assert reason in bench.error(EDITOR, command="insert", path="f", **given)


def test_line_endings_are_kept(bench: Bench) -> None:
    bench.sandbox.put("f", b"one\r\ntwo\r\nthree\r\n")
    assert bench.edit("view", "f") == "     1\tone\n     2\ttwo\n     3\tthree"
    bench.edit("str_replace", "f", old_str="one\ntwo\n", new_str="1\n2\n")
    assert bench.read("f") == b"1\r\n2\r\nthree\r\n"


def test_bytes_that_are_no_utf8_are_kept(bench: Bench) -> None:
    bench.sandbox.put("latin", "caf\u00e9\nprice: 5\n".encode("latin-1"))
    shown = bench.edit("view", "latin")
    assert "not UTF-8" in shown
    assert "caf\ufffd" in shown
    bench.edit("str_replace", "latin", old_str="price: 5", new_str="price: \u20ac6")
    assert bench.read("latin") == b"caf\xe9\nprice: \xe2\x82\xac6\n"


def test_create_makes_directories_and_says_when_it_overwrites(bench: Bench) -> None:
    assert bench.edit("create", "a/b/c.txt", file_text="x\ny") == "Created a/b/c.txt (2 lines)."
    (bench.sandbox.workspace / "a/b/c.txt").chmod(0o600)
    answer = bench.edit("create", "a/b/c.txt", file_text="")
    assert answer == "Overwrote a/b/c.txt (0 lines)."
    assert stat.S_IMODE((bench.sandbox.workspace / "a/b/c.txt").stat().st_mode) == 0o600
    assert bench.workspace.written == {"a/b/c.txt"}


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"command": "undo_edit", "path": "README.md"}, "no command 'undo_edit'"),
        ({"command": "create", "path": "x"}, "file_text is missing"),
        ({"command": "create", "path": "src", "file_text": ""}, "is a directory"),
        ({"command": "create", "path": "/repo", "file_text": ""}, "repository itself"),
        ({"command": "create", "path": "README.md/x", "file_text": ""}, "not a directory"),
        ({"command": "create", "path": "n" * 300, "file_text": ""}, "too long"),
        ({"command": "view", "path": "nowhere"}, "does not exist"),
        ({"command": "view"}, "path is missing"),
        ({"path": "README.md"}, "command is missing"),
        ({"command": "view", "path": "a\0b"}, "null character"),
        ({"command": "view", "path": "\udce9"}, "not valid Unicode"),
        ({"command": "view", "path": ""}, "empty"),
    ],
)
def test_the_editor_explains_what_it_cannot_do(
    bench: Bench, given: dict[str, Any], reason: str
) -> None:
    assert reason in bench.error(EDITOR, **given)


def test_binary_and_huge_files_are_answered(bench: Bench) -> None:
    bench.sandbox.put("binary", b"\x7fELF\0\0")
    assert "binary file" in bench.error(EDITOR, command="view", path="binary")
    with (bench.sandbox.workspace / "huge").open("wb") as file:
        file.truncate(16 * 1024**2 + 1)
    assert "search_text" in bench.error(EDITOR, command="view", path="huge")


# Keeping to the repository.


@pytest.mark.parametrize(
    "path",
    [
        "..", "../x", "src/../../x", "/etc/passwd", "/repo/../etc/passwd", "/repository/x", "/",
        "//etc/passwd", ".git", ".git/config", "src/.git/x", ".GIT/config", ".Git", ".git.",
        ".git ", "git~1/config", "GIT~1", ".g\u200cit/config", ".git::$INDEX_ALLOCATION/x",
        "out", "out/secret", "dangling", "git-link/config", "up/outside/secret", "self",
    ],
)  # fmt: skip
@pytest.mark.parametrize("command", ["view", "create", "str_replace", "insert"])
def test_nothing_outside_is_touched(bench: Bench, path: str, command: str) -> None:
    outside = bench.sandbox.directory / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    tree = bench.sandbox.workspace
    (tree / ".git").mkdir()
    (tree / ".git" / "config").write_text("secret")
    (tree / "out").symlink_to(outside)
    (tree / "up").symlink_to("..")
    (tree / "dangling").symlink_to(outside / "new")
    (tree / "git-link").symlink_to(".git")
    (tree / "self").symlink_to("self")
    before = sorted(str(entry) for entry in bench.sandbox.directory.rglob("*"))
    reason = bench.error(
        EDITOR, command=command, path=path, file_text="x", old_str="secret", new_str="x",
        insert_line=0, insert_text="x",
    )  # fmt: skip
    assert "secret\n" not in reason
    assert reason
    after = sorted(str(entry) for entry in bench.sandbox.directory.rglob("*"))
    assert [entry for entry in after if "/scratch/" not in entry] == before
    assert (outside / "secret").read_text() == "secret"
    assert (tree / ".git" / "config").read_text() == "secret"


def test_a_link_inside_the_repository_is_followed(bench: Bench) -> None:
    (bench.sandbox.workspace / "link").symlink_to("src/a.py")
    bench.edit("str_replace", "link", old_str="1", new_str="2")
    assert bench.read("src/a.py") == b"x = 2\n"
    assert (bench.sandbox.workspace / "link").is_symlink()
    assert bench.workspace.written == {"src/a.py"}


@pytest.mark.parametrize("command", ["view", "create", "str_replace"])
def test_special_files_are_answered_and_not_opened(bench: Bench, command: str) -> None:
    os.mkfifo(bench.sandbox.workspace / "fifo")
    reason = bench.error(
        EDITOR, command=command, path="fifo", file_text="x", old_str="x", new_str="y"
    )
    assert "pipe, socket or device" in reason


def test_names_that_look_like_git_are_fine(bench: Bench) -> None:
    for name in (".gitignore", ".github/x.yml", "git", "x.git", ".gitx", "git~2"):
        bench.edit("create", name, file_text="x")


# What the model is told.


@pytest.mark.parametrize("kind", ["native", "plain"])
def test_definitions(bench: Bench, kind: EditorTool) -> None:
    async def definitions() -> list[dict[str, Any]]:
        git = Git(bench.sandbox.git_dir, bench.workspace.root, bench.sandbox.directory)
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        return Tools(git, bench.workspace, kind, ready).definitions()

    names = [tool["name"] for tool in asyncio.run(definitions())]
    assert names == ["list_files", "search_text", EDITOR]
    editor = asyncio.run(definitions())[-1]
    if kind == "native":
        assert editor["type"] == "text_editor_20250728"
        assert "input_schema" not in editor
    else:
        assert "type" not in editor
        assert editor["input_schema"]["properties"]["command"]["enum"] == [
            "view", "create", "str_replace", "insert",
        ]  # fmt: skip
        assert editor["description"]
    json.dumps(editor)
