"""Lines of an agent's output that are events, and those that only look like it."""

import json
from typing import Any

import pytest

from aideator.protocol import parse_line

ENVELOPE = {"aideator": 1, "run": "run_x", "variation": 1, "seq": 1, "time": 1.0}
COMPLETED = {**ENVELOPE, "type": "completed", "stop_reason": "end_turn"}
RETRY = {**ENVELOPE, "type": "retry", "turn": 1, "code": "rate_limited", "message": "Later."}
WAIT = {**ENVELOPE, "type": "wait", "turn": 1, "cause": "busy", "message": "Later."}


@pytest.mark.parametrize("number", [1.5, float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize(
    "event",
    [
        lambda number: {**COMPLETED, "time": number},
        lambda number: {**COMPLETED, "seconds": number},
        lambda number: {**COMPLETED, "total": {"cost_usd": number}},
        lambda number: {**RETRY, "wait_seconds": number},
        lambda number: {**WAIT, "seconds": number},
    ],
    ids=["time", "seconds", "cost_usd", "wait_seconds", "seconds of a wait"],
)
def test_a_number_of_an_event_is_finite(event: Any, number: float) -> None:
    parsed = parse_line(json.dumps(event(number)))
    assert (parsed is not None) == (number == 1.5)


@pytest.mark.parametrize("number", ["NaN", "Infinity"])
def test_what_a_model_gave_a_tool_goes_on_as_json(number: str) -> None:
    call = {**ENVELOPE, "type": "tool_call", "turn": 1, "id": "1", "name": "x", "input": "?"}
    event = parse_line(json.dumps(call).replace('"?"', f'{{"a": {number}}}'))
    assert event is not None
    assert json.loads(event.model_dump_json())["input"] == {"a": None}
