"""Model servers by name, given to the module: each condition asks the one that it names."""

import json
import secrets
from typing import Any

import pytest

from aideator_gateway.scripted_model.script import Model, Reply, Text, TokenCounts
from aideator_gateway.scripted_model.server import Script, ScriptedModel
from tests.engine.module import Module
from tests.engine.session import EngineError, arguments

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]

SAID: list[Reply] = [[Model("big"), Text("Done."), TokenCounts(500_000, 0)]]
PRICES = {"big": {"input": 2.0, "output": 4.0, "cache_write": 0.0, "cache_read": 0.0}}


def keys_of(server: ScriptedModel) -> set[tuple[int | None, str]]:
    return {(r.variation, r.headers["authorization"]) for r in server.requests}


def editors_of(server: ScriptedModel) -> set[str | None]:
    tools = (tool for request in server.requests for tool in request.body["tools"])
    return {tool.get("type") for tool in tools if "edit" in tool["name"]}


def test_each_condition_asks_its_own_server_with_its_own_key(module: Module) -> None:
    own, other = (f"sk-ant-{secrets.token_hex(16)}" for _ in range(2))
    session = module.session
    with (
        ScriptedModel(Script(default=SAID)) as first,
        ScriptedModel(Script(default=SAID)) as second,
    ):
        provider = arguments(
            {
                "name": "other", "service": session.service(second.base_url),
                "apiKey": session.secret("key of the other", other), "editorTool": "plain",
                "prices": json.dumps(PRICES), "maxConcurrent": 1,
            }
        )  # fmt: skip
        unused = arguments({"name": "unused", "baseUrl": "http://127.0.0.1:1"})
        run = arguments({"source": session.directory(module.repository), "prompt": "Do it."})
        found: Any = module.ask(
            f"""withProvider{provider}{{withProvider{unused}{{
                withCondition(provider:"other",model:"big"){{withCondition{{
                    runVariations{run}{{variations{{status message condition usage{{costUsd}}}}}}
            }}}}}}}}""",
            model_url=first.base_url,
            apiKey=session.secret("own key", own),
        )
        for name in ("withProvider", "withProvider", "withCondition", "withCondition"):
            found = found[name]
        asked = found["runVariations"]["variations"]
        assert [one["status"] for one in asked] == ["completed"] * 2, asked
        assert json.loads(asked[0]["condition"])["provider"] == "other"
        # Only who was asked with these prices knows what it cost.
        assert [one["usage"]["costUsd"] for one in asked] == [1.0, None]
        assert keys_of(first) == {(2, f"Bearer {own}")}
        assert keys_of(second) == {(1, f"Bearer {other}")}
        assert editors_of(first) != editors_of(second)


def test_a_named_server_needs_no_default_one(module: Module) -> None:
    with ScriptedModel(Script(default=SAID)) as model:
        provider = arguments({"name": "other", "service": module.session.service(model.base_url)})
        source = module.session.directory(module.repository)
        agent = arguments({"source": source, "prompt": "Do it.", "provider": "other"})
        found = module.ask(f"withProvider{provider}{{agent{agent}{{status}}}}")
        assert found["withProvider"]["agent"]["status"] == "completed"
        assert keys_of(model) == {(1, "Bearer none")}


def test_a_server_that_is_not_there_is_one_line(module: Module) -> None:
    provider = arguments({"name": "other", "baseUrl": "http://127.0.0.1:1"})
    source = module.session.directory(module.repository)
    run = arguments({"source": source, "prompt": "x", "variations": 1})
    with pytest.raises(EngineError, match=r"^FunctionError: provider: .* there is default, other"):
        module.ask(
            f'withProvider{provider}{{withCondition(provider:"nobody")'
            f"{{runVariations{run}{{summary}}}}}}"
        )
