"""Refusals are counted all, and logged so that a flood fills no disk."""

import logging

import pytest

from aideator.broker.refusals import Refusals, Refused


def test_a_flood_of_one_cause_is_a_line_a_second(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    refusals = Refusals(lambda: now)
    with caplog.at_level(logging.WARNING):
        for _ in range(1000):
            refusals.note(Refused(401, "token_invalid", "No."), "no valid token")
            now += 0.00251
        refusals.note(Refused(404, "other_path", "No."), "no valid token")
    assert refusals.counts == {"token_invalid": 1000, "other_path": 1}
    lines = [record.getMessage() for record in caplog.records]
    assert [line.split(":")[0] for line in lines] == [
        *["refused, token_invalid"] * 3, "refused, other_path",
    ]  # fmt: skip
    assert lines[2].endswith("(799 so far)")
