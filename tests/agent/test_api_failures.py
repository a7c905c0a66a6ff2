"""Everything that the Messages API and the way to it can do wrong, byte by byte."""

import json
from email.utils import formatdate
from time import time

import pytest

from aideator.protocol import (
    ErrorCode,
    Limits,
    RetryEvent,
    StatusEvent,
    StopReason,
    TextEvent,
    ToolCallEvent,
    ToolResultEvent,
    UsageEvent,
)
from aideator_gateway.scripted_model.script import (
    Block,
    Drop,
    EndWithoutStop,
    Hang,
    HttpError,
    Ping,
    Raw,
    Reply,
    Stop,
    StopLeaveOpen,
    StreamError,
    Text,
    Thinking,
    TokenCounts,
    ToolUse,
    Wait,
)
from tests.agent.conftest import Play
from tests.agent.sandbox import Outcome, Sandbox

DONE: Reply = [Text("All done.")]
EDITOR = "str_replace_based_edit_tool"


def said(outcome: Outcome) -> str:
    """Return the text that was not superseded."""
    last = {event.turn: event.try_ for event in outcome.of(TextEvent)}
    kept = [event for event in outcome.of(TextEvent) if event.try_ == last[event.turn]]
    return "".join(event.text for event in kept)


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (HttpError(429, "rate_limit_error", "Slow down."), ErrorCode.RATE_LIMITED),
        (HttpError(529, "overloaded_error", "Overloaded."), ErrorCode.OVERLOADED),
        (HttpError(500, "api_error", "Oops."), ErrorCode.API_ERROR),
        (HttpError(503, "overloaded_error", "Busy."), ErrorCode.OVERLOADED),
        (HttpError(502, "", "", body=b"<html>bad gateway</html>"), ErrorCode.API_ERROR),
        (HttpError(408, "timeout_error", "Too slow."), ErrorCode.API_ERROR),
        (Drop(), ErrorCode.CONNECTION_FAILED),
        (Drop(reset=True), ErrorCode.CONNECTION_FAILED),
    ],
)
def test_failures_before_a_response_pass(
    sandbox: Sandbox, play: Play, failure: HttpError | Drop, code: ErrorCode
) -> None:
    model = play([failure], [failure], DONE)
    outcome = sandbox.run(model.base_url)
    assert outcome.completed.stop_reason is StopReason.END_TURN
    assert [(retry.code, retry.turn, retry.try_) for retry in outcome.of(RetryEvent)] == [
        (code, 1, 1),
        (code, 1, 2),
    ]
    assert [r.message for r in outcome.of(RetryEvent) if r.message.endswith("..")] == []
    assert {event.try_ for event in outcome.of(TextEvent)} == {3}
    assert outcome.completed.turns == 1
    assert len(model.requests) == 3
    assert model.requests[0].messages == model.requests[2].messages


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("0.2", 0.2),
        pytest.param(formatdate(time() - 3600, usegmt=True), None, id="an hour ago"),
        ("-5", None),
        ("nan", None),
        ("soon", None),
        ("99999999", 0.5),
        ("inf", None),
    ],
)
def test_retry_after_is_honoured_within_reason(
    sandbox: Sandbox, play: Play, header: str, wait: float | None
) -> None:
    model = play(
        [HttpError(429, "rate_limit_error", "Slow.", headers={"retry-after": header})], DONE
    )
    outcome = sandbox.run(model.base_url, environment={"AIDEATOR_LONGEST_RETRY_SECONDS": "0.5"})
    (retry,) = outcome.of(RetryEvent)
    first, second = (request.time for request in model.requests)
    if wait is None:
        # What the server asks for makes no sense, so the wait is our own.
        assert 0.0075 <= retry.wait_seconds <= 0.0125
    else:
        assert retry.wait_seconds == wait
        assert second - first >= wait


def test_retry_after_as_a_date(sandbox: Sandbox, play: Play) -> None:
    # An HTTP date has whole seconds, so that the wait is anything up to two.
    date = formatdate(time() + 20, usegmt=True)
    error = HttpError(529, "overloaded_error", "Busy.", headers={"retry-after": date})
    outcome = sandbox.run(
        play([error], DONE).base_url, environment={"AIDEATOR_LONGEST_RETRY_SECONDS": "0.3"}
    )
    assert [retry.wait_seconds for retry in outcome.of(RetryEvent)] == [0.3]


@pytest.mark.parametrize(
    ("cut", "code"),
    [
        (Drop(), ErrorCode.STREAM_BROKEN),
        (Drop(reset=True), ErrorCode.STREAM_BROKEN),
        (EndWithoutStop(), ErrorCode.STREAM_BROKEN),
        (StreamError("overloaded_error", "Overloaded."), ErrorCode.OVERLOADED),
        (StreamError("api_error", "Oops."), ErrorCode.API_ERROR),
        (StreamError("rate_limit_error", "Slow."), ErrorCode.RATE_LIMITED),
    ],
)
def test_a_response_cut_off_is_repeated_and_never_mixed(
    sandbox: Sandbox, play: Play, cut: Drop | EndWithoutStop | StreamError, code: ErrorCode
) -> None:
    model = play(
        [Text("First half, then nothing"), cut],
        [Text("Whole. "), ToolUse("list_files", {})],
        DONE,
    )
    outcome = sandbox.run(model.base_url)
    assert outcome.completed.stop_reason is StopReason.END_TURN
    (retry,) = outcome.of(RetryEvent)
    assert (retry.code, retry.turn, retry.try_) == (code, 1, 1)
    assert said(outcome) == "Whole. All done."
    assert [event.try_ for event in outcome.of(ToolResultEvent)] == [2]
    assert "First half" not in json.dumps([request.body for request in model.requests])
    # What the broken try cost is counted, too.
    tries = [(event.turn, event.try_) for event in outcome.of(UsageEvent)]
    assert tries == [(1, 1), (1, 2), (2, 1)]


def test_a_tool_call_in_a_broken_response_is_not_executed(sandbox: Sandbox, play: Play) -> None:
    create = ToolUse(EDITOR, {"command": "create", "path": "x.txt", "file_text": "x"})
    outcome = sandbox.run(play([create, EndWithoutStop()], DONE).base_url)
    assert outcome.completed
    assert outcome.of(ToolResultEvent) == []
    assert not (sandbox.workspace / "x.txt").exists()
    assert outcome.patch.bytes == 0


@pytest.mark.parametrize("before", [[], [Text("Hm")]])
def test_a_stalled_server_is_left(sandbox: Sandbox, play: Play, before: list[Text]) -> None:
    model = play([*before, Hang()], DONE)
    outcome = sandbox.run(model.base_url, environment={"AIDEATOR_STALL_SECONDS": "0.5"})
    (retry,) = outcome.of(RetryEvent)
    assert retry.code is ErrorCode.STREAM_STALLED
    assert said(outcome) == "All done."


def test_nothing_but_pings_is_a_stall_too(sandbox: Sandbox, play: Play) -> None:
    pings: list[Ping | Wait] = [Ping(), Wait(0.1)] * 30
    outcome = sandbox.run(
        play([Text("Hm"), *pings, Hang()], DONE).base_url,
        environment={"AIDEATOR_STALL_SECONDS": "5", "AIDEATOR_SILENCE_SECONDS": "1"},
    )
    (retry,) = outcome.of(RetryEvent)
    assert retry.code is ErrorCode.STREAM_STALLED
    assert "signs of life" in retry.message


def test_pings_between_tokens_are_no_stall(sandbox: Sandbox, play: Play) -> None:
    steps = [Text("One "), Ping(), Wait(0.4), Ping(), Wait(0.4), Ping(), Text("two.")]
    outcome = sandbox.run(
        play(steps).base_url,
        environment={"AIDEATOR_STALL_SECONDS": "0.7", "AIDEATOR_SILENCE_SECONDS": "3"},
    )
    assert outcome.of(RetryEvent) == []
    assert said(outcome) == "One two."


def test_ends_at_message_stop_though_the_socket_stays_open(sandbox: Sandbox, play: Play) -> None:
    outcome = sandbox.run(
        play([Text("Done."), StopLeaveOpen()]).base_url,
        environment={"AIDEATOR_STALL_SECONDS": "20"},
    )
    assert outcome.completed.stop_reason is StopReason.END_TURN
    assert outcome.completed.seconds < 10


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (HttpError(401, "authentication_error", "invalid x-api-key"), "authentication_failed"),
        (HttpError(403, "permission_error", "No."), "permission_denied"),
        (HttpError(404, "not_found_error", "model: claude-x"), "model_not_found"),
        (HttpError(413, "request_too_large", "Too large."), "request_too_large"),
        (HttpError(402, "billing_error", "Pay."), "credit_exhausted"),
        (
            HttpError(
                400, "invalid_request_error",
                "Your credit balance is too low to access the Anthropic API.",
            ),
            "credit_exhausted",
        ),
        (HttpError(400, "invalid_request_error", "max_tokens: no"), "invalid_request"),
        (
            HttpError(307, "", "", headers={"location": "http://elsewhere.invalid/"}),
            "connection_failed",
        ),
    ],
)  # fmt: skip
def test_what_cannot_pass_is_not_repeated(
    sandbox: Sandbox, play: Play, error: HttpError, code: str
) -> None:
    model = play([error])
    outcome = sandbox.run(model.base_url)
    assert outcome.exit_code == 0
    assert outcome.failed.code.value == code
    assert error.message in outcome.failed.message
    assert outcome.of(RetryEvent) == []
    assert outcome.patch.bytes == 0
    assert len(model.requests) == 1


def test_a_model_that_always_breaks_fails_with_the_last_cause(sandbox: Sandbox, play: Play) -> None:
    model = play(
        [HttpError(529, "overloaded_error", "Overloaded.")],
        [Text("Almost"), Drop()],
        [StreamError("api_error", "Really broken.")],
    )
    outcome = sandbox.run(model.base_url, limits=Limits(max_retries=2))
    assert outcome.failed.code is ErrorCode.API_ERROR
    assert outcome.failed.message == "Really broken. (the last of 3 tries)"
    assert len(outcome.of(RetryEvent)) == 2


def test_no_server_at_all(sandbox: Sandbox) -> None:
    outcome = sandbox.run("http://127.0.0.1:9", limits=Limits(max_retries=1))
    assert outcome.failed.code is ErrorCode.CONNECTION_FAILED
    assert "http://127.0.0.1:9" in outcome.failed.message


def test_max_tokens_inside_text_goes_on(sandbox: Sandbox, play: Play) -> None:
    model = play([Text("It is cut"), Stop("max_tokens")], [Text(" off, and goes on.")])
    outcome = sandbox.run(model.base_url)
    assert outcome.completed.turns == 2
    assert said(outcome) == "It is cut off, and goes on."
    *_, assistant, user = model.requests[1].messages
    assert assistant["content"] == [{"type": "text", "text": "It is cut"}]
    assert "length limit" in user["content"][0]["text"]


def test_max_tokens_inside_thinking_goes_on_without_it(sandbox: Sandbox, play: Play) -> None:
    model = play([Thinking("Long", signature=""), Stop("max_tokens")], DONE)
    outcome = sandbox.run(model.base_url)
    assert outcome.completed.turns == 2
    assert [message["role"] for message in model.requests[1].messages] == ["user", "user"]


@pytest.mark.parametrize(
    "raw", ['{"command": "create", "path": "x.txt", "file_te', '{"command": "create"}']
)
def test_max_tokens_inside_a_tool_call_does_not_execute_it(
    sandbox: Sandbox, play: Play, raw: str
) -> None:
    model = play(
        [
            ToolUse("list_files", {}),
            ToolUse(EDITOR, raw=raw),
            Stop("max_tokens"),
        ],
        DONE,
    )
    outcome = sandbox.run(model.base_url)
    whole, cut = outcome.of(ToolResultEvent)
    assert not whole.is_error
    assert cut.is_error
    assert "cut off" in cut.content
    assert outcome.completed.turns == 2
    results = model.requests[1].messages[-1]["content"]
    assert [result["is_error"] for result in results] == [False, True]


@pytest.mark.parametrize(
    "raw",
    ['{"path": ', "[1, 2]", '"text"', "NaN", '{"path": NaN}', '{"a": 1e999}', '{"a":' * 3000],
)
def test_input_that_is_no_json_object_is_not_executed(
    sandbox: Sandbox, play: Play, raw: str
) -> None:
    model = play([ToolUse("list_files", raw=raw)], DONE)
    outcome = sandbox.run(model.base_url)
    assert outcome.completed.turns == 2
    (call,) = outcome.of(ToolCallEvent)
    assert call.input == raw
    (result,) = outcome.of(ToolResultEvent)
    assert result.is_error
    assert "not executed" in result.content
    sent = model.requests[1].messages[-2]["content"][0]
    assert (sent["type"], sent["input"]) == ("tool_use", {})


def test_input_of_megabytes_costs_in_proportion(sandbox: Sandbox, play: Play) -> None:
    text = "Some text, again and again.\n" * 150_000
    call = ToolUse(
        EDITOR, {"command": "create", "path": "big.txt", "file_text": text}, pieces=20_000
    )
    outcome = sandbox.run(play([call], DONE).base_url)
    assert outcome.completed
    assert (sandbox.workspace / "big.txt").read_text() == text
    assert outcome.completed.seconds < 20


def test_an_unknown_tool_is_answered(sandbox: Sandbox, play: Play) -> None:
    outcome = sandbox.run(play([ToolUse("bash", {"command": "ls"})], DONE).base_url)
    (result,) = outcome.of(ToolResultEvent)
    assert result.is_error
    assert "list_files, search_text, str_replace_based_edit_tool" in result.content


def test_refusal_fails_with_the_models_words(sandbox: Sandbox, play: Play) -> None:
    outcome = sandbox.run(play([Text("I won't help with that."), Stop("refusal")]).base_url)
    assert outcome.failed.code is ErrorCode.REFUSAL
    assert outcome.failed.message == "I won't help with that."


def test_a_refusal_without_words_is_explained_by_its_details(sandbox: Sandbox, play: Play) -> None:
    details = {"type": "refusal", "category": "cyber", "explanation": "This could do harm."}
    outcome = sandbox.run(play([Stop("refusal", details=details)]).base_url)
    assert outcome.failed.message == "This could do harm."


def test_a_paused_turn_goes_on(sandbox: Sandbox, play: Play) -> None:
    model = play([Text("One moment."), Stop("pause_turn")], DONE)
    outcome = sandbox.run(model.base_url)
    assert outcome.completed.turns == 2
    assert model.requests[1].messages[-1] == {
        "role": "assistant",
        "content": [{"type": "text", "text": "One moment."}],
    }


def test_a_full_context_window_completes(sandbox: Sandbox, play: Play) -> None:
    create = ToolUse(EDITOR, {"command": "create", "path": "x.txt", "file_text": "x"})
    steps = [Text("So much."), create, Stop("model_context_window_exceeded")]
    outcome = sandbox.run(play(steps).base_url)
    assert outcome.completed.stop_reason is StopReason.CONTEXT_WINDOW
    assert not (sandbox.workspace / "x.txt").exists()


def test_unknown_blocks_and_events_are_noted_and_left_out(sandbox: Sandbox, play: Play) -> None:
    model = play(
        [
            Raw(b'event: news\ndata: {"type": "news", "what": 1}\n\n'),
            Block({"type": "hologram", "data": "x"}),
            Text("Seen."),
            ToolUse("list_files", {}),
        ],
        DONE,
    )
    outcome = sandbox.run(model.base_url)
    assert outcome.completed
    notices = [event.message for event in outcome.of(StatusEvent) if event.state == "notice"]
    assert len(notices) == 2
    assert "'news'" in notices[0]
    assert "'hologram'" in notices[1]
    assert "hologram" not in json.dumps(model.requests[1].body)


@pytest.mark.parametrize(
    "garbage",
    [
        b"event: content_block_delta\ndata: {not json\n\n",
        b"event: content_block_delta\ndata: []\n\n",
        b'event: content_block_delta\ndata: {"type": "content_block_delta", "index": 77}\n\n',
        b"event: x\ndata: \xff\xfe\n\n",
    ],
)
def test_a_malformed_stream_is_broken(sandbox: Sandbox, play: Play, garbage: bytes) -> None:
    outcome = sandbox.run(play([Text("Hm"), Raw(garbage)], DONE).base_url)
    (retry,) = outcome.of(RetryEvent)
    assert retry.code is ErrorCode.STREAM_BROKEN
    assert said(outcome) == "All done."


def test_thinking_is_shown_and_returned_unchanged(sandbox: Sandbox, play: Play) -> None:
    redacted = {"type": "redacted_thinking", "data": "c2VjcmV0"}
    model = play(
        [
            Thinking("Let me think. Ünï", signature="s1g=="),
            Block(redacted),
            ToolUse("list_files", {}),
            TokenCounts(input_tokens=10, output_tokens=5),
        ],
        DONE,
    )
    outcome = sandbox.run(model.base_url)
    assert outcome.completed
    thinking, hidden, call = model.requests[1].messages[1]["content"]
    assert thinking == {
        "type": "thinking", "thinking": "Let me think. Ünï", "signature": "s1g==",
    }  # fmt: skip
    assert hidden == redacted
    assert call["type"] == "tool_use"
