"""A recorded run, played back to the agent program as if it were the model."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import pytest

from aideator.protocol import (
    CompletedEvent,
    Event,
    Limits,
    RetryEvent,
    StatusEvent,
    StopReason,
    TextEvent,
)
from aideator_gateway.scripted_model import script
from aideator_gateway.scripted_model.playback import TranscriptPlayer
from aideator_gateway.scripted_model.script import (
    Drop,
    HttpError,
    Reply,
    Stop,
    StreamError,
    Text,
    Thinking,
    ToolUse,
)
from aideator_gateway.scripted_model.server import Script, ScriptedModel
from tests.agent.sandbox import Outcome, Sandbox

FILES = {"a.txt": "one\n"}
EDITOR = "str_replace_based_edit_tool"


def record(sandbox: Sandbox, *replies: Reply, limits: Limits | None = None) -> Outcome:
    with ScriptedModel(Script(default=replies)) as model:
        return sandbox.run(model.base_url, limits=limits or Limits())


def play_back(recorded: Outcome, sandbox: Sandbox, limits: Limits | None = None) -> Outcome:
    player = TranscriptPlayer.from_file(recorded.output / "transcript.jsonl")
    with ScriptedModel(player) as model:
        return sandbox.run(model.base_url, limits=limits or Limits())


def essence(outcome: Outcome) -> list[tuple[Any, ...]]:
    """Return what the model said and what came of it, without times and counts of tries."""
    given_up = {(e.turn, e.try_) for e in outcome.of(RetryEvent)}
    essence = []
    for event in outcome.events:
        if isinstance(event, StatusEvent | RetryEvent):
            continue
        fields = event.model_dump(exclude={"seq", "time", "seconds", "try_", "total"})
        if (fields.get("turn"), getattr(event, "try_", None)) not in given_up:
            essence.append(tuple(fields.items()))
    return essence


def test_a_run_with_everything_comes_out_the_same(tmp_path: Path) -> None:
    view = ToolUse(EDITOR, {"command": "view", "path": "a.txt"}, id="toolu_1")
    create = {"command": "create", "path": "b.txt", "file_text": "ü\n"}
    recorded = record(
        Sandbox(tmp_path / "recorded", FILES),
        [Text("not "), Drop()],
        [HttpError(529, "overloaded_error", "Overloaded", {"retry-after": "0"})],
        [
            Thinking(["Let me", " see."], "c2ln"),
            Text(["I ", "look."]),
            view,
            ToolUse("nonsense"),
            script.TokenCounts(7, 8, 9, 10),
        ],
        [Text("An overlong"), Stop("max_tokens")],
        [ToolUse(EDITOR, raw='{"command": "cre'), ToolUse(EDITOR, create)],
        [Text("Done.")],
    )
    assert recorded.completed.turns == 4
    assert len(recorded.of(RetryEvent)) == 2

    again = play_back(recorded, Sandbox(tmp_path / "again", FILES))
    assert essence(again) == essence(recorded)
    assert again.patch.content() == recorded.patch.content() != b""
    assert again.of(RetryEvent) == []
    assert [e.text for e in again.of(TextEvent)][:3] == ["I ", "look.", "An"]


@pytest.mark.parametrize(
    "replies",
    [
        [[HttpError(401, "authentication_error", "invalid x-api-key")]],
        [[ToolUse("list_files")], [HttpError(403, "permission_error", "no")]],
        [[HttpError(529, "overloaded_error", "Overloaded")]] * 2,
        [[ToolUse("list_files")], *[[Text("a"), StreamError("api_error", "Oops")]] * 2],
        [*[[Text("a"), Drop()]] * 2],
        [[Text("I will not."), Stop("refusal")]],
    ],
)
def test_a_run_that_failed_fails_again_with_the_same_code(
    tmp_path: Path, replies: list[Reply]
) -> None:
    limits = Limits(max_retries=1)
    recorded = record(Sandbox(tmp_path / "recorded", FILES), *replies, limits=limits)
    again = play_back(recorded, Sandbox(tmp_path / "again", FILES), limits)
    assert again.failed.code == recorded.failed.code
    assert again.failed.turns == recorded.failed.turns


def lines(*made: Callable[[dict[str, Any]], Event], **envelope: Any) -> list[str]:
    """Write events as an agent would."""
    return [
        make(
            {"run": "run_1", "variation": 1, "seq": seq, "time": 100.0 + seq, **envelope}
        ).model_dump_json()
        for seq, make in enumerate(made, start=1)
    ]


def done(given: dict[str, Any]) -> Event:
    return CompletedEvent(type="completed", stop_reason=StopReason.END_TURN, **given)


def text(said: str, turn: int = 1, try_: int = 1) -> Callable[[dict[str, Any]], Event]:
    return lambda given: TextEvent(type="text", text=said, turn=turn, try_=try_, **given)


def said(model: ScriptedModel, variation: int = 1, timeout: float = 5.0) -> tuple[str, str | None]:
    """Ask once and return the text and the stop reason, if there was one."""
    client = anthropic.Anthropic(
        api_key="k", base_url=model.base_url, max_retries=0, timeout=timeout
    )
    parts: list[str] = []
    with client:
        stream = client.messages.create(
            model="m",
            max_tokens=9,
            messages=[{"role": "user", "content": "x"}],
            extra_headers={"x-aideator-variation": str(variation)},
            stream=True,
        )
        try:
            for event in stream:
                if event.type == "content_block_delta" and event.delta.type == "text_delta":
                    parts.append(event.delta.text)
                elif event.type == "message_delta":
                    return "".join(parts), event.delta.stop_reason
        except httpx2.ReadTimeout:
            pass
    return "".join(parts), None


def test_a_turn_that_was_stopped_hangs_where_it_was_left() -> None:
    player = TranscriptPlayer(lines(text("half"), text(" a sentence")))
    with ScriptedModel(player) as model:
        assert said(model, timeout=1.0) == ("half a sentence", None)


def test_each_variation_is_played_to_itself_in_its_last_attempt() -> None:
    player = TranscriptPlayer(
        lines(text("one"), done)
        + lines(text("one again"), done, attempt=2)
        + lines(text("two"), done, variation=2)
    )
    with ScriptedModel(player) as model:
        assert said(model, 1) == ("one again", "end_turn")
        assert said(model, 2) == ("two", "end_turn")
        with pytest.raises(anthropic.BadRequestError, match="holds variations 1, 2, not 3"):
            said(model, 3)


def test_pauses_are_kept_when_asked_for() -> None:
    recorded = lines(text("a"), text("b"), text("c"), done)
    with ScriptedModel(TranscriptPlayer(recorded, speed=10)) as model:
        started = time.monotonic()
        assert said(model) == ("abc", "end_turn")
        assert time.monotonic() - started >= 0.2


def test_lines_that_are_no_events_are_passed_over() -> None:
    player = TranscriptPlayer(
        ["", "not json", '{"aideator": 1, "type": "new"}', *lines(text("a"), done)]
    )
    with ScriptedModel(player) as model:
        assert said(model) == ("a", "end_turn")


def test_what_is_no_transcript_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no turn of a model"):
        TranscriptPlayer(["hello"])
    with pytest.raises(ValueError, match="above 0"):
        TranscriptPlayer(lines(text("a")), speed=0)
    with pytest.raises(OSError, match="nowhere"):
        TranscriptPlayer.from_file(tmp_path / "nowhere")
