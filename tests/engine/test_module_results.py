"""What a run comes to: statuses, patches, transcripts, and what one goes on with."""

import json
from pathlib import Path
from typing import Any

import pytest

from aideator.protocol import CompletedEvent, PatchEvent, parse_line
from aideator_gateway.scripted_model.script import HttpError, Text, ToolUse
from aideator_gateway.scripted_model.server import Script, ScriptedModel
from tests.engine.module import EDITOR, FIELDS, Module, creates
from tests.support.repositories import apply_patch, git

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]


def test_three_variations_one_of_which_fails(
    module: Module, shared_repository: Path, tmp_path: Path
) -> None:
    replace = {
        "command": "str_replace",
        "path": "greet.py",
        "old_str": "Hello",
        "new_str": "Good day",
    }
    script = Script(
        {
            1: creates("één 1.txt", "made by 1\n"),
            2: [[HttpError(404, "not_found_error", "model: no-such-model")]],
            3: [[ToolUse(EDITOR, {**replace, "new_str": "Good day"})], [Text("Replaced.")]],
        }
    )
    with ScriptedModel(script) as model:
        asked: dict[str, Any] = {
            "conditions": [
                json.dumps({"label": "small"}),
                json.dumps({"label": "unknown", "model": "no-such-model"}),
                json.dumps({"label": "large"}),
            ],
            "check": "python3 greet.py; cat *.txt; test ! -e 'één 1.txt'",
        }
        run = module.run(
            f"""runId commit summary report{{contents}} results{{entries}} export{{entries}}
            variations{{{FIELDS}
            patch{{contents}} changes{{addedPaths modifiedPaths removedPaths}}
            directory{{entries}} transcript{{contents}}}}""",
            model.base_url,
            **asked,
        )
        target = tmp_path / "results"
        module.run(f"results{{export(path:{json.dumps(str(target))})}}", model.base_url, **asked)
        one = module.run("variation(n:3){label}", model.base_url, **asked)
        assert one == {"variation": {"label": "large"}}
        # All of this read one run: two requests each of those that worked, one of the other.
        assert sorted(request.variation or 0 for request in model.requests) == [1, 1, 2, 3, 3]

    first, second, third = run["variations"]
    assert run["commit"] is None
    assert [v["status"] for v in run["variations"]] == ["completed", "failed", "completed"]
    assert first["stopReason"] == "end_turn"
    assert first["summary"] == "It is made."
    assert first["turns"] == 2
    assert first["usage"]["outputTokens"] > 0
    assert (first["filesChanged"], first["insertions"], first["deletions"]) == (1, 1, 0)
    assert first["changes"] == {
        "addedPaths": ["één 1.txt"], "modifiedPaths": [], "removedPaths": [],
    }  # fmt: skip
    assert "één 1.txt" in first["directory"]["entries"]
    assert first["check"]["exitCode"] == 1
    assert first["check"]["output"] == "Hello, world\nmade by 1\n"
    assert (second["errorCode"], second["model"]) == ("model_not_found", "no-such-model")
    assert "no-such-model" in second["message"]
    assert second["patchBytes"] == 0
    assert third["changes"]["modifiedPaths"] == ["greet.py"]
    assert third["check"]["passed"] is True
    assert third["check"]["output"].startswith("Good day, world\n")

    events = [parse_line(line) for line in first["transcript"]["contents"].splitlines()]
    assert [event.seq for event in events if event] == list(range(1, len(events) + 1))
    assert isinstance(events[-2], PatchEvent)
    assert isinstance(events[-1], CompletedEvent)
    assert {(e.run, e.variation) for e in events if e} == {(run["runId"], 1)}

    for line in ("1  small", "2  unknown", "3  large"):
        assert line in run["summary"]
    assert "variation 2: model_not_found:" in run["summary"]
    assert "Good day, world" in run["report"]["contents"]

    # The older name of the same.
    assert run["export"] == run["results"]
    result = json.loads((target / "result.json").read_text())
    assert [v["status"] for v in result["variations"]] == ["completed", "failed", "completed"]
    assert (target / "report.md").read_text() == run["report"]["contents"]
    assert (target / "variation-2/changes.patch").read_bytes() == b""
    assert (target / "variation-2/transcript.jsonl").stat().st_size > 0
    patch = (target / "variation-1/changes.patch").read_bytes()
    assert patch.decode() == first["patch"]["contents"]
    checkout = apply_patch(shared_repository, patch, tmp_path / "checkout")
    assert (checkout / "één 1.txt").read_text() == "made by 1\n"


def test_changes_apply_to_a_checkout(module: Module, repository: Path) -> None:
    (repository / "latin-1.txt").write_bytes(b"caf\xe9\n")
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--message=Latin")
    edit = {"command": "insert", "path": "latin-1.txt", "insert_line": 1, "insert_text": "tea\n"}
    with ScriptedModel(Script(default=[[ToolUse(EDITOR, edit)], [Text("Done.")]])) as model:
        source = module.session.directory(repository)
        path = json.dumps(str(repository))
        module.run(
            f"variation(n:1){{changes{{export(path:{path})}}}}",
            model.base_url, source=source, variations=1,
        )  # fmt: skip
    assert git(repository, "status", "--porcelain") == "M latin-1.txt"
    assert (repository / "latin-1.txt").read_bytes() == b"caf\xe9\ntea\n"


def test_one_agent_alone(module: Module) -> None:
    with ScriptedModel(Script({4: creates("four.txt")})) as model:
        source = module.session.directory(module.repository)
        given = f'source:{json.dumps(source)},prompt:"Make it.",variationId:4,label:"alone"'
        found = module.ask(
            f"agent({given}){{variationId label status changes{{addedPaths}}}}",
            model_url=model.base_url,
        )
    assert found["agent"] == {
        "variationId": 4, "label": "alone", "status": "completed",
        "changes": {"addedPaths": ["four.txt"]},
    }  # fmt: skip
