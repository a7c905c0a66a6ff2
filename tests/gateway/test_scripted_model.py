"""Each kind of step, as the unchanged SDK sees it over a real socket."""

import asyncio
import json
import re
import threading
import time
from collections.abc import Iterable
from typing import Any

import anthropic
import httpx2
import pytest

from aideator_gateway.scripted_model.script import (
    Block,
    Drop,
    EndBlock,
    EndWithoutStop,
    Hang,
    HttpError,
    Model,
    Ping,
    Raw,
    Reply,
    Step,
    Stop,
    StopLeaveOpen,
    StreamError,
    Text,
    Thinking,
    TokenCounts,
    ToolUse,
    Wait,
    tokens,
)
from aideator_gateway.scripted_model.server import Script, ScriptedModel

MESSAGES: list[anthropic.types.MessageParam] = [{"role": "user", "content": "Say it."}]


def client_of(model: ScriptedModel) -> anthropic.Anthropic:
    return anthropic.Anthropic(
        api_key="sk-test", base_url=model.base_url, max_retries=0, timeout=5.0
    )


def events_of(*steps: Step, until: str | None = None) -> list[Any]:
    """Stream one reply; stop reading at an event of type ``until``."""
    seen: list[Any] = []
    with ScriptedModel(Script(default=[steps])) as model, client_of(model) as client:
        collect(client, seen, until)
    return seen


def collect(client: anthropic.Anthropic, seen: list[Any], until: str | None = None) -> None:
    with client.messages.create(
        model="any-model", max_tokens=99, messages=MESSAGES, stream=True
    ) as stream:
        for event in stream:
            seen.append(event)
            if event.type == until:
                break


def message_of(*steps: Step) -> anthropic.types.Message:
    """Stream one reply and let the SDK put it together."""
    with (
        ScriptedModel(Script(default=[steps])) as model,
        client_of(model) as client,
        client.messages.stream(model="any-model", max_tokens=99, messages=MESSAGES) as stream,
    ):
        return stream.get_final_message()


def broken_off(*steps: Step) -> tuple[list[str], Exception]:
    """Stream a reply that breaks; return the types of the events before, and the error."""
    seen: list[Any] = []
    with ScriptedModel(Script(default=[steps])) as model, client_of(model) as client:
        try:
            collect(client, seen)
        except Exception as error:  # noqa: BLE001 - which error it is, is what the tests ask
            return types(seen), error
    raise AssertionError(f"nothing broke: {types(seen)}")


def types(events: Iterable[Any]) -> list[str]:
    return [event.type for event in events]


def test_text_comes_in_deltas_that_make_up_the_text() -> None:
    text = "Hello,  wörld 世界!\n\nA-very-long-word-that-is-cut-in-pieces.\t"
    events = events_of(Text(text))
    deltas = [event.delta.text for event in events if event.type == "content_block_delta"]
    assert "".join(deltas) == text
    assert len(deltas) > 5
    assert types(events)[:2] == ["message_start", "content_block_start"]
    assert types(events)[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert events[-2].delta.stop_reason == "end_turn"


def test_given_deltas_are_sent_as_they_are() -> None:
    events = events_of(Text(["one t", "", "wo"]))
    deltas = [event.delta.text for event in events if event.type == "content_block_delta"]
    assert deltas == ["one t", "", "wo"]


def test_no_token_is_lost_or_empty() -> None:
    for text in ("", " ", "a", "a b", "  a\n\nb  ", "x" * 100):
        assert "".join(tokens(text)) == text
        assert "" not in tokens(text)


def test_thinking_text_and_tools_make_one_message() -> None:
    message = message_of(
        Thinking("Let me see.", signature="c2ln"),
        Text("I look."),
        ToolUse("list_files", {"path": "."}),
        ToolUse("search_text", {"pattern": "ü"}, id="toolu_mine"),
    )
    thinking, text, first, second = message.content
    assert thinking.type == "thinking"
    assert (thinking.thinking, thinking.signature) == ("Let me see.", "c2ln")
    assert text.type == "text"
    assert text.text == "I look."
    assert first.type == "tool_use"
    assert second.type == "tool_use"
    assert first.input == {"path": "."}
    assert second.input == {"pattern": "ü"}
    assert second.id == "toolu_mine"
    assert first.id != second.id
    assert message.stop_reason == "tool_use"
    assert message.model == "any-model"


def test_tool_input_comes_in_as_many_pieces_as_asked_for() -> None:
    events = events_of(ToolUse("create", {"text": "x" * 100}, pieces=4))
    deltas = [event.delta.partial_json for event in events if event.type == "content_block_delta"]
    assert len(deltas) == 4
    assert json.loads("".join(deltas)) == {"text": "x" * 100}


def test_megabytes_of_tool_input_arrive_whole() -> None:
    events = events_of(ToolUse("create", {"text": "x" * 5_000_000}, pieces=500))
    deltas = [event.delta.partial_json for event in events if event.type == "content_block_delta"]
    assert len(deltas) == 500
    assert len(json.loads("".join(deltas))["text"]) == 5_000_000


def test_raw_tool_input_need_not_be_json() -> None:
    events = events_of(ToolUse("create", raw='{"path": "a'), Stop("max_tokens"))
    deltas = [event.delta.partial_json for event in events if event.type == "content_block_delta"]
    assert "".join(deltas) == '{"path": "a'
    assert events[-2].delta.stop_reason == "max_tokens"


def test_usage_is_what_the_script_says() -> None:
    message = message_of(Text("a b c"), TokenCounts(11, 22, 33, 44))
    assert message.usage.input_tokens == 11
    assert message.usage.output_tokens == 22
    assert message.usage.cache_creation_input_tokens == 33
    assert message.usage.cache_read_input_tokens == 44


def test_usage_is_counted_words_where_the_script_says_nothing() -> None:
    message = message_of(Text("a b c"), ToolUse("t", {"x": "d e"}))
    assert message.usage.output_tokens == 5
    assert message.usage.input_tokens == 4  # any-model user Say it.


def test_a_reply_can_name_another_model() -> None:
    assert message_of(Model("scripted"), Text("x")).model == "scripted"


def test_a_refusal_carries_its_details() -> None:
    details = {"type": "refusal", "category": "cyber", "explanation": "No."}
    events = events_of(Text("I will not"), Stop("refusal", details))
    assert events[-2].delta.stop_reason == "refusal"
    assert events[-2].delta.stop_details.explanation == "No."


def test_pings_and_unknown_events_and_blocks_pass_between_the_known() -> None:
    future = b'event: future\ndata: {"type":"future","new":true}\n\n'
    events = events_of(
        Ping(), Text("a"), Raw(future), Block({"type": "future_block", "data": "x"}), Text("b")
    )
    # The SDK swallows pings and hands unknown events on.
    assert "future" in types(events)
    starts = [event for event in events if event.type == "content_block_start"]
    assert [start.index for start in starts] == [0, 1, 2]
    assert starts[1].content_block.type == "future_block"


def test_pings_are_on_the_wire() -> None:
    script = Script(default=[[Ping(), Text("a")]])
    with ScriptedModel(script) as model:
        body = {"messages": [{"role": "user", "content": "x"}], "stream": True}
        answer = httpx2.post(f"{model.base_url}/v1/messages", json=body)
    assert b"event: ping\ndata: " in answer.content
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert "not an LLM" in answer.headers["x-scripted-model"]


def test_a_block_stays_open_for_what_strikes_inside_it() -> None:
    seen, _ = broken_off(Text("a"), Drop())
    assert seen == ["message_start", "content_block_start", "content_block_delta"]
    seen, _ = broken_off(Text("a"), EndBlock(), Drop())
    assert seen[-1] == "content_block_stop"


@pytest.mark.parametrize(
    ("status", "kind", "expected"),
    [
        (400, "invalid_request_error", anthropic.BadRequestError),
        (401, "authentication_error", anthropic.AuthenticationError),
        (403, "permission_error", anthropic.PermissionDeniedError),
        (404, "not_found_error", anthropic.NotFoundError),
        (413, "request_too_large", anthropic.APIStatusError),
        (429, "rate_limit_error", anthropic.RateLimitError),
        (500, "api_error", anthropic.InternalServerError),
        (529, "overloaded_error", anthropic.APIStatusError),
    ],
)
def test_http_errors_become_the_sdks_own(
    status: int, kind: str, expected: type[anthropic.APIStatusError]
) -> None:
    error = HttpError(status, kind, "Not now.", {"retry-after": "7"}, {"error_code": "some_code"})
    seen, raised = broken_off(error)
    assert seen == []
    assert isinstance(raised, expected)
    assert raised.status_code == status
    assert raised.response.headers["retry-after"] == "7"
    assert raised.body == {
        "type": "error",
        "error": {"type": kind, "message": "Not now.", "details": {"error_code": "some_code"}},
        "request_id": "req_scripted",
    }
    assert raised.request_id == "req_scripted"


def test_an_http_error_may_have_a_body_that_is_not_the_apis() -> None:
    html = HttpError(502, "", "", {"content-type": "text/html"}, body=b"<h1>Bad Gateway</h1>")
    _, raised = broken_off(html)
    assert isinstance(raised, anthropic.InternalServerError)
    assert raised.response.text == "<h1>Bad Gateway</h1>"


def test_an_error_inside_a_stream() -> None:
    seen, raised = broken_off(Text("half"), StreamError("overloaded_error", "Overloaded"))
    assert seen[-1] == "content_block_delta"
    assert isinstance(raised, anthropic.APIStatusError)
    assert raised.response.status_code == 200
    assert isinstance(raised.body, dict)
    assert raised.body["error"] == {"type": "overloaded_error", "message": "Overloaded"}


@pytest.mark.parametrize("reset", [False, True])
def test_a_connection_lost_before_a_byte(reset: bool) -> None:
    seen, raised = broken_off(Drop(reset=reset))
    assert seen == []
    assert isinstance(raised, anthropic.APIConnectionError)
    expected = httpx2.ReadError if reset else httpx2.RemoteProtocolError
    assert isinstance(raised.__cause__, expected)


@pytest.mark.parametrize("reset", [False, True])
def test_a_connection_lost_inside_a_stream(reset: bool) -> None:
    # The wait lets the client read before the reset makes its kernel forget.
    seen, raised = broken_off(Text("half of it"), Wait(0.1), Drop(reset=reset))
    assert seen[-1] == "content_block_delta"
    assert isinstance(raised, httpx2.ReadError if reset else httpx2.RemoteProtocolError)


def test_a_stream_that_ends_properly_without_message_stop() -> None:
    events = events_of(Text("all of it"), EndWithoutStop())
    assert types(events)[-1] == "content_block_delta"
    assert "message_stop" not in types(events)


def test_message_stop_with_the_connection_left_open() -> None:
    started = time.monotonic()
    events = events_of(Text("done"), StopLeaveOpen(), until="message_stop")
    assert types(events)[-1] == "message_stop"
    assert time.monotonic() - started < 4

    seen: list[Any] = []
    with ScriptedModel(Script(default=[[Text("done"), StopLeaveOpen()]])) as model:
        client = client_of(model).with_options(timeout=1.0)
        with client, pytest.raises((httpx2.ReadTimeout, anthropic.APITimeoutError)):
            collect(client, seen)
    assert types(seen)[-1] == "message_stop"


@pytest.mark.parametrize("before", [[], [Ping()], [Text("a")]])
def test_a_hang_sends_nothing_more(before: list[Step]) -> None:
    seen: list[Any] = []
    with ScriptedModel(Script(default=[[*before, Hang()]])) as model:
        client = client_of(model).with_options(timeout=1.0)
        with client, pytest.raises((httpx2.ReadTimeout, anthropic.APITimeoutError)):
            collect(client, seen)
    assert bool(seen) == bool(before)


def test_waits_and_paces_take_their_time() -> None:
    started = time.monotonic()
    events_of(Wait(0.1), Text(["a", "b", "c"], pace=0.1), ToolUse("t", {"a": 1}, pieces=2))
    took = time.monotonic() - started
    assert took > 0.3
    started = time.monotonic()
    events_of(Text(["a", "b", "c"], pace=[0.0, 0.3, 0.0]))
    assert time.monotonic() - started > 0.3


def test_stamps_tell_when_each_delta_left() -> None:
    before = time.time()
    arrived = []
    script = Script(default=[[Text("a b c", 0.05, stamp=True)]])
    with ScriptedModel(script) as model, client_of(model) as client:
        arrived = [
            (time.time(), event.delta.text)
            for event in client.messages.create(
                model="m", max_tokens=9, messages=MESSAGES, stream=True
            )
            if event.type == "content_block_delta" and event.delta.type == "text_delta"
        ]
    sent = []
    for at, text in arrived:
        match = re.fullmatch(r"t=(\d+\.\d{6}) ( ?[abc])", text)
        assert match, text
        sent.append(float(match[1]))
        assert before <= sent[-1] <= at
    # Made when it is sent, not when the pause before it begins.
    assert sent[1] - sent[0] > 0.045


def test_whole_messages_where_no_stream_is_asked_for() -> None:
    script = Script(
        default=[
            [Thinking("Hm.", "c2ln"), Text("Hi."), ToolUse("t", {"a": 1}), TokenCounts(1, 2)],
            [StreamError("overloaded_error", "Overloaded")],
            [Text("a"), Drop()],
            [HttpError(429, "rate_limit_error", "Slow down.")],
        ]
    )
    with ScriptedModel(script) as model, client_of(model) as client:

        def ask() -> anthropic.types.Message:
            return client.messages.create(model="m", max_tokens=9, messages=MESSAGES)

        message = ask()
        assert [block.type for block in message.content] == ["thinking", "text", "tool_use"]
        assert message.stop_reason == "tool_use"
        assert (message.usage.input_tokens, message.usage.output_tokens) == (1, 2)
        with pytest.raises(anthropic.APIStatusError) as overloaded:
            ask()
        assert overloaded.value.status_code == 529
        with pytest.raises(anthropic.APIConnectionError):
            ask()
        with pytest.raises(anthropic.RateLimitError):
            ask()


def test_the_same_over_the_asynchronous_client_on_one_event_loop() -> None:
    async def run() -> list[str]:
        async with (
            ScriptedModel(Script(default=[[Text("a b c", pace=0.01)]])) as model,
            anthropic.AsyncAnthropic(api_key="k", base_url=model.base_url) as client,
        ):
            stream = await client.messages.create(
                model="m", max_tokens=9, messages=MESSAGES, stream=True
            )
            return [event.type async for event in stream]

    assert asyncio.run(run())[-1] == "message_stop"


def test_five_streams_at_once_are_played_side_by_side() -> None:
    replies: dict[int, list[Reply]] = {n: [[Text(f"{n} " * 40, pace=0.03)]] for n in range(1, 6)}
    seen: list[tuple[float, int]] = []
    texts: dict[int, str] = {}
    lock = threading.Lock()
    together = threading.Barrier(5)

    def follow(model: ScriptedModel, number: int) -> None:
        headers = {"x-aideator-variation": str(number), "x-aideator-run": "run_a"}
        with client_of(model).with_options(default_headers=headers) as client:
            together.wait()
            stream = client.messages.create(model="m", max_tokens=9, messages=MESSAGES, stream=True)
            for event in stream:
                if event.type == "content_block_delta" and event.delta.type == "text_delta":
                    with lock:
                        seen.append((time.monotonic(), number))
                        texts[number] = texts.get(number, "") + event.delta.text

    with ScriptedModel(Script(replies)) as model:
        threads = [threading.Thread(target=follow, args=(model, n)) for n in range(1, 6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        requests = model.requests
    assert texts == {n: f"{n} " * 40 for n in range(1, 6)}
    firsts = {n: min(at for at, m in seen if m == n) for n in range(1, 6)}
    lasts = {n: max(at for at, m in seen if m == n) for n in range(1, 6)}
    assert max(firsts.values()) < min(lasts.values())
    assert sorted(request.variation or 0 for request in requests) == [1, 2, 3, 4, 5]
    assert {request.run for request in requests} == {"run_a"}


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        ([Stop(), Text("late")], "ends the reply"),
        ([Text("a"), HttpError(500, "api_error", "x")], "StreamError"),
    ],
)
def test_replies_that_cannot_be_played_are_refused_at_once(reply: Reply, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Script(default=[reply])
