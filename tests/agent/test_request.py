"""What the model is sent: settings, prompt, cache marks, headers."""

import itertools
import json
from typing import Any

import pytest

from aideator.protocol import Condition, ErrorCode, RetryEvent
from aideator_gateway.scripted_model.script import HttpError, Text, ToolUse
from tests.agent.conftest import Play
from tests.agent.sandbox import KEY, Sandbox

SUMMARIZED = {"type": "adaptive", "display": "summarized"}


@pytest.mark.parametrize(
    ("condition", "sent"),
    [
        ({}, {"model": "claude-sonnet-5-5", "thinking": SUMMARIZED}),
        ({"model": "claude-opus-5-5", "effort": "xhigh"},
         {"thinking": SUMMARIZED, "output_config": {"effort": "xhigh"}}),
        ({"model": "claude-fable-5-2"}, {"thinking": SUMMARIZED}),
        ({"model": "claude-opus-4-6", "temperature": 0.5}, {"temperature": 0.5}),
        ({"model": "claude-haiku-4-5-20251001"}, {}),
        ({"model": "claude-sonnet-4-6", "thinking_tokens": 2048},
         {"thinking": {"type": "enabled", "budget_tokens": 2048}, "max_tokens": 34_048}),
        ({"model": "llama-4"}, {"max_tokens": 8192}),
        ({"model": "llama-4", "temperature": 0.1, "effort": "max", "thinking_tokens": 1024},
         {"temperature": 0.1, "output_config": {"effort": "max"}, "max_tokens": 9216,
          "thinking": {"type": "enabled", "budget_tokens": 1024}}),
    ],
)  # fmt: skip
def test_settings_are_sent_where_the_model_takes_them(
    sandbox: Sandbox, play: Play, condition: dict[str, Any], sent: dict[str, Any]
) -> None:
    model = play([Text("Done.")])
    assert sandbox.run(model.base_url, condition=condition).completed
    body = model.requests[0].body
    for name in ("thinking", "temperature", "output_config"):
        assert body.get(name) == sent.get(name)
    for name, value in sent.items():
        assert body[name] == value


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        ({"temperature": 0.5}, "takes no temperature"),
        ({"model": "claude-haiku-5-5", "thinking_tokens": 2048}, "takes no thinking_tokens"),
        ({"model": "claude-opus-4-6", "effort": "xhigh"}, "one of low, medium, high, max"),
        ({"model": "claude-sonnet-4-5", "effort": "low"}, "has no such setting"),
        ({"model": "claude-opus-4-6", "temperature": 0.5, "thinking_tokens": 2048}, "together"),
    ],
)
def test_what_a_known_model_does_not_take_fails_before_it_costs(
    sandbox: Sandbox, play: Play, condition: dict[str, Any], reason: str
) -> None:
    model = play()
    outcome = sandbox.run(model.base_url, condition=condition)
    assert outcome.failed.code is ErrorCode.INVALID_REQUEST
    assert reason in outcome.failed.message
    assert model.requests == []


def test_the_prompt_names_the_place_and_the_task_and_shows_no_file(
    sandbox: Sandbox, play: Play
) -> None:
    model = play([Text("Done.")])
    condition = Condition(instructions="Answer in rhyme.")
    assert sandbox.run(model.base_url, prompt="Cool the tea.", condition=condition).completed
    body = model.requests[0].body
    assert body["messages"][0]["content"][0]["text"] == (
        "The repository is at /repo.\n\nCool the tea."
    )
    (system,) = body["system"]
    assert "/repo" in system["text"]
    assert system["text"].endswith("# Instructions for this attempt\n\nAnswer in rhyme.")
    assert "{" not in system["text"]
    assert "Hot." not in json.dumps(body)
    assert [tool["name"] for tool in body["tools"]] == [
        "list_files", "search_text", "str_replace_based_edit_tool",
    ]  # fmt: skip


def test_the_conversation_is_cached_up_to_its_end(sandbox: Sandbox, play: Play) -> None:
    model = play([ToolUse("list_files", {})], [ToolUse("list_files", {})], [Text("Done.")])
    assert sandbox.run(model.base_url).completed
    for request in model.requests:
        assert "cache_control" in request.body["system"][-1]
        blocks = [block for message in request.messages for block in message["content"]]
        assert [("cache_control" in block) for block in blocks] == (
            [False] * (len(blocks) - 1) + [True]
        )
    # But for the marks, each conversation begins as the one before it did.
    plain = [
        json.dumps(request.messages).replace(', "cache_control": {"type": "ephemeral"}', "")
        for request in model.requests
    ]
    for shorter, longer in itertools.pairwise(plain):
        assert longer.startswith(shorter[:-1])


def test_requests_say_whose_they_are_and_carry_the_key(sandbox: Sandbox, play: Play) -> None:
    model = play([Text("Done.")])
    assert sandbox.run(model.base_url).completed
    headers = model.requests[0].headers
    assert headers["x-aideator-run"] == "run_test"
    assert headers["x-aideator-variation"] == "2"
    assert headers["authorization"] == f"Bearer {KEY}"


def test_a_server_that_echoes_the_key_does_not_get_it_into_any_event(
    sandbox: Sandbox, play: Play
) -> None:
    error = HttpError(429, "rate_limit_error", f"Key {KEY} is limited.")
    model = play([error], [Text(f"The key is {KEY}.")])
    # That no file and no output holds the key is checked for every run.
    outcome = sandbox.run(model.base_url)
    assert outcome.of(RetryEvent)[0].message == "Key *** is limited."
