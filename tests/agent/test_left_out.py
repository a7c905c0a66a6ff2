"""What the patch does not have: submodules are refused, and what else is missing is told."""

import pytest

from aideator.protocol import CancelledEvent, StatusEvent, ToolResultEvent
from aideator_gateway.scripted_model.script import Text, ToolUse
from tests.agent.conftest import Play
from tests.agent.sandbox import Outcome, Sandbox
from tests.support.repositories import git

EDITOR = "str_replace_based_edit_tool"


def create(path: str, text: str = "new\n") -> ToolUse:
    return ToolUse(EDITOR, {"command": "create", "path": path, "file_text": text})


def left_out(outcome: Outcome) -> list[StatusEvent]:
    return [event for event in outcome.of(StatusEvent) if event.state == "left_out"]


@pytest.fixture
def submodule(sandbox: Sandbox) -> str:
    """Add a submodule as a checkout leaves it: an entry in the base commit, and no files."""
    other = "1" * 40
    words = (f"--git-dir={sandbox.git_dir}", f"--work-tree={sandbox.workspace}")
    git(sandbox.directory, *words, "update-index", "--add", "--cacheinfo",
        f"160000,{other},vendor/lib")  # fmt: skip
    git(sandbox.directory, *words, "commit", "--quiet", "--message=Submodule")
    (sandbox.workspace / "vendor/lib").mkdir(parents=True)
    return "vendor/lib"


@pytest.mark.parametrize(
    "call",
    [
        create("vendor/lib/new.txt"),
        create("vendor/lib/deep/new.txt"),
        create("vendor/lib"),
        ToolUse(EDITOR, {"command": "view", "path": "vendor/lib/a.py"}),
        ToolUse(EDITOR, {"command": "view", "path": "vendor/lib"}),
        ToolUse("list_files", {"path": "vendor/lib"}),
        ToolUse("search_text", {"pattern": "x", "path": "vendor/lib"}),
    ],
)
def test_a_submodules_files_are_refused_and_it_is_said_why(
    sandbox: Sandbox, play: Play, submodule: str, call: ToolUse
) -> None:
    outcome = sandbox.run(play([call, create("own.txt")], [Text("Done.")]).base_url)
    refused, taken = outcome.of(ToolResultEvent)
    assert refused.is_error
    assert f"{submodule} is a submodule, a repository of its own" in refused.content
    assert not taken.is_error
    assert list((sandbox.workspace / submodule).iterdir()) == []
    assert outcome.patch.files == 1
    assert left_out(outcome) == []


def test_a_repository_that_set_up_made_inside_can_be_read_but_not_changed(
    sandbox: Sandbox, play: Play
) -> None:
    sandbox.put("nested/a.txt", "read me\n")
    git(sandbox.workspace / "nested", "init", "--quiet")
    view = ToolUse(EDITOR, {"command": "view", "path": "nested/a.txt"})
    outcome = sandbox.run(play([view, create("nested/b.txt")], [Text("Done.")]).base_url)
    read, refused = outcome.of(ToolResultEvent)
    assert "read me" in read.content
    assert "nested is a submodule" in refused.content
    assert not (sandbox.workspace / "nested/b.txt").exists()


@pytest.mark.usefixtures("submodule")
def test_a_listing_shows_a_submodule_as_such(sandbox: Sandbox, play: Play) -> None:
    outcome = sandbox.run(play([ToolUse("list_files", {})], [Text("Done.")]).base_url)
    (listed,) = outcome.of(ToolResultEvent)
    assert listed.content.split("\n") == ["README.md", "src/a.py", "vendor/lib/ (submodule)"]


def test_every_written_file_that_the_patch_lacks_is_told(sandbox: Sandbox, play: Play) -> None:
    # Git takes no such name, since on Windows it would be its own directory.
    names = [f"odd\\.git/{number:02}.txt" for number in range(45)]
    # Changed before the attempt, by a set-up command; so it is no change of the attempt's.
    sandbox.put("README.md", "# Coffee\n")
    calls = [create("README.md", "# Coffee\n"), *map(create, names), create("kept.txt")]
    outcome = sandbox.run(play(calls, [Text("Done.")]).base_url)
    told = left_out(outcome)
    assert [len(event.paths) for event in told] == [20, 20, 6]
    assert [path for event in told for path in event.paths] == ["README.md", *names]
    for event in told:
        assert all(path in event.message for path in event.paths)
    assert outcome.completed
    assert outcome.patch.files == 1


def test_written_files_that_are_in_the_patch_or_as_they_were_are_not_told(
    sandbox: Sandbox, play: Play
) -> None:
    sandbox.put(".gitignore", "*.log\n")
    sandbox.put(".gitattributes", "*.txt text eol=crlf\n")
    sandbox.commit()
    calls = [
        create("ignored.log"),
        create("crlf.txt", "one\r\ntwo\r\n"),
        create("src/a.py", "x = 1\n"),
    ]
    outcome = sandbox.run(play(calls, [Text("Done.")]).base_url)
    assert left_out(outcome) == []
    assert outcome.patch.files == 2


def test_where_no_patch_can_be_taken_all_that_was_written_is_told(
    sandbox: Sandbox, play: Play
) -> None:
    model = play([create("a.txt"), create("b.txt")], [Text("slow " * 400, pace=0.05)])
    process = sandbox.start(model.base_url)
    assert process.stdout
    while b"slow" not in process.stdout.readline():
        pass
    (sandbox.git_dir / "objects").rename(sandbox.directory / "gone")
    process.terminate()
    outcome = sandbox.finish(process)
    assert isinstance(outcome.end, CancelledEvent)
    notice = next(event for event in outcome.of(StatusEvent) if event.state == "notice")
    assert notice.message.startswith("The patch could not be taken: git ")
    (told,) = left_out(outcome)
    assert told.paths == ["a.txt", "b.txt"]
