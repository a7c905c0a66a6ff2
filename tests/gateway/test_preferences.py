"""Transcripts as messages, preferences as records."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aideator.protocol import Condition, Limits, Status, StopReason
from aideator_gateway.preferences.conversation import Conversation, Message
from aideator_gateway.preferences.preference import (
    Attempt,
    Origin,
    Preference,
    attempts_of,
    from_checks,
    from_selection,
    labelled,
)
from aideator_gateway.preferences.records import Records, tools
from aideator_gateway.preferences.without_files import LEFT_OUT, without_files
from aideator_gateway.runs.model import CheckResult, Run, Selection, Variation
from tests.support.tool_definitions import tool_definitions

EDITOR = "str_replace_based_edit_tool"
TIME = datetime(2026, 11, 27, tzinfo=UTC)


class Transcript:
    """Lines as an agent writes them."""

    def __init__(self, attempt: int = 1) -> None:
        self.lines: list[bytes] = []
        self.attempt = attempt

    def say(self, kind: str, turn: int = 1, number: int = 1, **fields: Any) -> "Transcript":
        line = {
            "aideator": 1, "run": "run_1", "variation": 1, "attempt": self.attempt,
            "seq": len(self.lines) + 1, "time": 1.0, "type": kind, "turn": turn, "try": number,
            **fields,
        }  # fmt: skip
        self.lines.append(json.dumps(line).encode())
        return self

    def call(self, turn: int, name: str, given: Any, answer: str = "ok") -> "Transcript":
        number = f"call_{turn}"
        self.say("tool_call", turn, id=number, name=name, input=given)
        return self.say("tool_result", turn, id=number, name=name, content=answer)

    @property
    def messages(self) -> list[Message]:
        return Conversation.of(self.lines).messages()


def called(number: str, name: str, arguments: Any) -> dict[str, Any]:
    return {"id": number, "type": "function", "function": {"name": name, "arguments": arguments}}


def test_a_transcript_is_a_conversation() -> None:
    said = Transcript()
    said.say("thinking", text="Hm. ").say("text", text="First I ").say("text", text="look.")
    said.call(1, "list_files", {}, "a.py\nb.py")
    said.say("thinking", 2, text="So.").call(2, EDITOR, {"command": "view", "path": "a.py"}, "1 x")
    said.say("text", 3, text="Done.").say("usage", 3, usage={}, total={})
    first = {"role": "assistant", "content": "First I look."}
    expected = [
        {**first, "tool_calls": [called("call_1", "list_files", {})]},
        {
            "role": "tool", "tool_call_id": "call_1", "name": "list_files",
            "content": "a.py\nb.py",
        },
        {
            "role": "assistant", "content": "",
            "tool_calls": [called("call_2", EDITOR, {"command": "view", "path": "a.py"})],
        },
        {"role": "tool", "tool_call_id": "call_2", "name": EDITOR, "content": "1 x"},
        {"role": "assistant", "content": "Done."},
    ]  # fmt: skip
    assert said.messages == expected
    thought = Conversation.of(said.lines, thinking=True).messages()
    assert [one.get("thinking") for one in thought] == ["Hm. ", None, "So.", None, None]


def test_what_a_repeated_request_supersedes_is_left_out() -> None:
    said = Transcript()
    said.say("text", text="Half a sen").say("tool_call", id="x", name="list_files", input={})
    said.say("retry", code="overloaded", message="Busy.", wait_seconds=1.0)
    said.say("text", number=2, text="The whole sentence.")
    # Late, of the try that was given up.
    said.say("text", number=1, text="tence")
    assert said.messages == [{"role": "assistant", "content": "The whole sentence."}]
    said.say("retry", number=2, code="overloaded", message="Busy.", wait_seconds=1.0)
    assert said.messages == []


def test_only_the_last_attempt_of_a_variation_counts() -> None:
    said = Transcript().say("text", text="Once.")
    said.attempt = 2
    said.say("text", text="Twice.")
    said.attempt = 1
    said.say("text", turn=2, text="Late.")
    assert [one["content"] for one in said.messages] == ["Twice."]


def test_an_answer_that_was_cut_off_is_one_with_what_went_on() -> None:
    said = Transcript().say("text", text="It begins, ").say("text", 2, text="and it goes on.")
    said.say("status", state="working").lines.append(b"not a line of ours")
    assert said.messages == [{"role": "assistant", "content": "It begins, and it goes on."}]


def test_what_was_no_json_stays_the_text_that_it_was() -> None:
    said = Transcript().call(1, "list_files", '{"path": ')
    assert said.messages[0]["tool_calls"][0]["function"]["arguments"] == '{"path": '


def test_without_files_paths_and_names_stay_and_contents_go() -> None:
    content = "SECRET CONTENT"
    said = Transcript().say("text", text="I edit.")
    said.call(1, EDITOR, {"command": "create", "path": "a.py", "file_text": content}, content)
    said.call(2, EDITOR, {"command": "str_replace", "path": "a.py", "old_str": content,
                          "new_str": content})  # fmt: skip
    said.call(3, EDITOR, {"command": "insert", "path": "a.py", "insert_line": 3,
                          "insert_text": content})  # fmt: skip
    said.call(4, "new_tool", {"anything": content, "path": "b.py"}).call(5, EDITOR, f"{{{content}")
    found = without_files(said.messages)
    assert content not in json.dumps(found)
    arguments = [
        call["function"]["arguments"] for one in found for call in one.get("tool_calls", ())
    ]
    assert arguments == [
        {"command": "create", "path": "a.py", "file_text": LEFT_OUT},
        {"command": "str_replace", "path": "a.py", "old_str": LEFT_OUT, "new_str": LEFT_OUT},
        {"command": "insert", "path": "a.py", "insert_line": 3, "insert_text": LEFT_OUT},
        {"anything": LEFT_OUT, "path": "b.py"},
        LEFT_OUT,
    ]
    assert {one["content"] for one in found if one["role"] == "tool"} == {LEFT_OUT}
    assert found[0]["content"] == "I edit."
    # What it was made of is as it was.
    assert content in json.dumps(said.messages)


def variation(number: int, passed: bool | None = None, **fields: Any) -> Variation:
    check = {
        "status": "passed" if passed else "failed", "command": "x", "exit_code": int(not passed),
        "seconds": 0.1, "output": "", "passed": passed,
    }  # fmt: skip
    given = {
        "variation_id": number, "status": Status.COMPLETED, "stop_reason": StopReason.END_TURN,
        "condition": Condition(label=f"c{number}"),
        "check": None if passed is None else CheckResult.model_validate(check), **fields,
    }  # fmt: skip
    return Variation(**given)


def run_of(variations: Sequence[Variation], **fields: Any) -> Run:
    given = {
        "run_id": "run_1", "status": Status.COMPLETED, "github_url": "https://github.com/u/r",
        "ref": None, "prompt": "Do it.", "commit": "c0ffee", "model": "m", "scripted": False,
        "limits": Limits(), "created_at": TIME, "ended_at": TIME, "variations": variations,
        **fields,
    }  # fmt: skip
    return Run(**given)


def numbers(preferences: Iterator[Preference]) -> list[tuple[int, int]]:
    return [(p.chosen.variation.variation_id, p.rejected.variation.variation_id)
            for p in preferences]  # fmt: skip


def test_a_winner_is_preferred_to_what_else_completed() -> None:
    failed = variation(3, status=Status.FAILED, stop_reason=None)
    chosen = Selection(variation_id=2, reason=None, selected_at=TIME)
    made = [variation(1), variation(2), failed, variation(4)]
    run = run_of(made, winning_variation_id=2, selections=[chosen])
    assert numbers(from_selection(run)) == [(2, 1), (2, 4)]
    assert next(from_selection(run)).origin == Origin("selection", TIME)
    assert list(from_selection(run_of(made))) == []


def test_checks_prefer_what_passed_and_say_nothing_of_the_rest() -> None:
    failed = variation(3, passed=False, status=Status.FAILED, stop_reason=None)
    made = [variation(1, passed=True), variation(2, passed=False), failed, variation(4),
            variation(5, passed=True)]  # fmt: skip
    attempts = attempts_of(run_of(made))
    assert numbers(from_checks(attempts)) == [(1, 2), (5, 2)]
    assert [one.variation.variation_id for one in labelled(attempts)] == [1, 2, 5]


def test_only_what_was_asked_the_same_is_comparable() -> None:
    one, other = attempts_of(run_of([variation(1), variation(2)]))
    assert Preference(one, other, Origin("check", None)).comparable
    for fields in ({"prompt": "Else."}, {"commit": "beef"}, {"github_url": "https://x.org/r"}):
        elsewhere = Attempt(run_of([variation(1)], **fields), variation(1))
        assert not Preference(one, elsewhere, Origin("check", None)).comparable


def test_a_record_has_the_columns_of_its_format() -> None:
    one, other = attempts_of(run_of([variation(1, passed=True), variation(2, passed=False)]))
    asked: list[int] = []

    def transcript(run_id: str, variation_id: int) -> list[bytes]:
        assert run_id == "run_1"
        asked.append(variation_id)
        return [] if variation_id == 3 else Transcript().say("text", text=f"{variation_id}").lines

    records = Records(transcript, files=True, thinking=False)
    origin = Origin("judgment", TIME, "exp", "one", "Ada")
    record = records.paired(Preference(one, other, origin))
    assert record == {
        "prompt": [{"role": "user", "content": "Do it."}],
        "chosen": [{"role": "assistant", "content": "1"}],
        "rejected": [{"role": "assistant", "content": "2"}],
        "tools": tools(),
        "metadata": {
            "repository": "https://github.com/u/r", "commit": "c0ffee", "source": "judgment",
            "time": "2026-11-27T00:00:00+00:00", "experiment": "exp", "task": "one",
            "judge": "Ada",
            "chosen": {"run": "run_1", "variation": 1, "model": "m", "scripted": False,
                       "condition": "c1", "stop_reason": "end_turn", "check": "passed"},
            "rejected": {"run": "run_1", "variation": 2, "model": "m", "scripted": False,
                         "condition": "c2", "stop_reason": "end_turn", "check": "failed"},
        },
    }  # fmt: skip
    unpaired = records.unpaired(other, Origin("check", TIME))
    assert unpaired
    assert (unpaired["completion"], unpaired["label"]) == (record["rejected"], False)
    assert asked == [1, 2]
    silent = Attempt(one.run, variation(3))
    assert records.paired(Preference(one, silent, origin)) is None


def test_the_tools_are_those_of_the_agent(tmp_path: Path) -> None:
    assert tools() == tool_definitions(tmp_path), (
        "write what tests/support/tool_definitions.py returns to preferences/tools.json"
    )
