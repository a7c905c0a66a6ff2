"""Styles and a variation's own limits, given to the module."""

import json
from typing import Any

import pytest

from aideator.protocol import Styles
from aideator_gateway.scripted_model.script import Text, ToolUse
from aideator_gateway.scripted_model.server import Script, ScriptedModel
from tests.engine.module import Module
from tests.engine.session import EngineError

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]


def test_what_applied_reaches_the_model_and_shows_in_every_view(module: Module) -> None:
    look = [ToolUse("list_files", {})]
    with ScriptedModel(Script(default=[look, [Text("Done.")]])) as model:
        source = module.session.directory(module.repository)
        run: dict[str, Any] = module.ask(
            f"""withCondition(style:"smallest",label:"a"){{
                withCondition(instructions:"Be kind.",maxTurns:1){{
                    runVariations(source:{json.dumps(source)},prompt:"x"){{
                        summary report{{contents}} variations{{style condition stopReason}}
                    }}
                }}
            }}""",
            model_url=model.base_url,
        )["withCondition"]["withCondition"]["runVariations"]
        asked = {request.variation: request.body["system"][0]["text"] for request in model.requests}
    text = Styles().text("smallest") or ""
    assert asked[1].endswith(f"\n\n{text}")
    assert asked[2].endswith("\n\nBe kind.")
    first, second = run["variations"]
    assert (first["style"], first["stopReason"]) == ("smallest", "end_turn")
    assert (second["style"], second["stopReason"]) == ("", "limit_turns")
    assert json.loads(first["condition"])["style_text"] == text
    assert json.loads(second["condition"])["limits"] == {"max_turns": 1}
    assert run["summary"].splitlines()[2].split()[:4] == ["#", "label", "style", "model"]
    assert run["summary"].splitlines()[3].split()[:3] == ["1", "a", "smallest"]
    assert f"> {text.splitlines()[0]}" in run["report"]["contents"]
    assert "max_turns:\n\n> 1\n" in run["report"]["contents"]


def test_an_unknown_style_is_refused_before_anything_runs(module: Module) -> None:
    with pytest.raises(EngineError, match=r"style: 'tiny' is not a known style; use smallest, "):
        module.ask('withCondition(style:"tiny"){runVariations(prompt:"x"){summary}}')
