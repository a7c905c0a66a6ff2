"""Whole conversations, over a real socket with the unchanged SDK."""

import json
import re
from pathlib import Path

from aideator.agent import emitter
from aideator.protocol import (
    MAX_LINE_BYTES,
    AnyEvent,
    StopReason,
    TextEvent,
    ToolCallEvent,
    ToolResultEvent,
    parse_line,
)
from aideator_gateway.scripted_model.script import Text, ToolUse
from aideator_gateway.scripted_model.server import Script, ScriptedModel
from tests.agent.sandbox import Sandbox
from tests.support.repositories import git

EDITOR = "str_replace_based_edit_tool"


def test_explores_edits_and_hands_over_a_patch_that_applies(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, {"README.md": "# Tea\n\nHot.\n", "src/a.py": "x = 1\n"})
    script = Script(
        default=[
            [Text("Let me look."), ToolUse("list_files", {})],
            [ToolUse(EDITOR, {"command": "view", "path": "/repo/README.md"})],
            [
                Text("Now I edit."),
                ToolUse(
                    EDITOR,
                    {"command": "str_replace", "path": "README.md", "old_str": "Hot.",
                     "new_str": "Very hot."},
                ),
                ToolUse(
                    EDITOR, {"command": "create", "path": "/repo/new.txt", "file_text": "new\n"}
                ),
            ],
            [Text("Done: it is very hot now.")],
        ]
    )  # fmt: skip
    with ScriptedModel(script) as model:
        outcome = sandbox.finish(sandbox.start(model.base_url, prompt="Make it hotter."))

    assert outcome.exit_code == 0
    assert outcome.stderr == ""
    assert outcome.completed.stop_reason is StopReason.END_TURN
    assert outcome.completed.summary == "Done: it is very hot now."
    assert outcome.completed.turns == 4
    assert [call.name for call in outcome.of(ToolCallEvent)] == ["list_files"] + [EDITOR] * 3
    listed, viewed, *_ = outcome.of(ToolResultEvent)
    assert listed.content == "README.md\nsrc/a.py"
    assert viewed.content == "     1\t# Tea\n     2\t\n     3\tHot."
    assert "".join(event.text for event in outcome.of(TextEvent) if event.turn == 1) == (
        "Let me look."
    )

    fresh = sandbox.fresh()
    git(fresh, "apply", "-", stdin=outcome.patch.content())
    assert (fresh / "README.md").read_text() == "# Tea\n\nVery hot.\n"
    assert (fresh / "new.txt").read_text() == "new\n"
    assert (outcome.output / "changes.patch").read_bytes() == outcome.patch.content()
    assert outcome.stdout == (outcome.output / "transcript.jsonl").read_bytes()
    result = json.loads((outcome.output / "result.json").read_text())
    assert result == outcome.end.model_dump(mode="json", by_alias=True)

    first = model.requests[0]
    assert "/repo" in json.dumps(first.messages)
    assert "Make it hotter." in json.dumps(first.messages)
    assert "Very hot" not in json.dumps(first.messages)
    assert (first.run, first.variation) == ("run_test", 2)


def test_the_documented_transcript_is_one() -> None:
    page = (Path(__file__).parents[2] / "docs" / "transcript.md").read_text()
    (example,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    events = [parse_line(line) for line in example.splitlines()]
    assert [event.seq for event in events if event] == list(range(1, len(events) + 1))
    kinds = {kind.__name__ for kind in AnyEvent.__args__[0].__args__}
    for kind in kinds - {"InterruptedEvent"}:
        word = re.sub(r"(?<=.)([A-Z])", r"_\1", kind.removesuffix("Event")).lower()
        assert f"`{word}`" in page


def test_the_emitters_own_limit_is_the_protocols() -> None:
    assert emitter.MAX_LINE_BYTES == MAX_LINE_BYTES
