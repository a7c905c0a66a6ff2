"""What is wrong with a value is said in the same sentences wherever it is given."""

from typing import Any

import pytest
from pydantic import ValidationError

from aideator.protocol import Limits, Task
from aideator.protocol.findings import Finding, findings

MANY_TURNS = {"prompt": "x", "limits": {"max_turns": 0}}


def found_in(given: Any) -> list[Finding]:
    with pytest.raises(ValidationError) as caught:
        Task.model_validate(given)
    return findings(caught.value, Task)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "prompt: This field is required."),
        (MANY_TURNS, "limits.max_turns: Input should be greater than or equal to 1."),
        (
            {"prompt": "x", "limits": {"turns": 1}},
            f"limits.turns: This field is not known; known are {', '.join(Limits.model_fields)}.",
        ),
        (
            {"prompt": "x", "condition": {"style_text": "Be brief."}},
            "condition: style_text needs a style, which is its name.",
        ),
        (3, "Input should be a valid dictionary or instance of Task."),
    ],
)
def test_each_finding_is_a_sentence_that_names_its_field(given: Any, said: str) -> None:
    assert [str(finding) for finding in found_in(given)] == [said]


def test_all_findings_are_there_in_order() -> None:
    found = found_in({"prompt": "", "limits": {"max_turns": 0, "max_retries": 99}})
    assert [one.field for one in found] == ["prompt", "limits.max_turns", "limits.max_retries"]


def test_what_was_given_is_in_no_text() -> None:
    (found,) = found_in({"prompt": "x", "base_url": ["secret"]})
    assert found.given == ["secret"]
    assert "secret" not in f"{found} {found!r}"
