"""A run in words: the table, the page, and the JSON."""

import json
import re
from typing import Any, cast

from aideator import report
from aideator.check_result import CheckResult
from aideator.usage import Usage
from aideator.variation import Variation


def variation(number: int, **fields: Any) -> Variation:
    """Return a variation; what is a file of the engine's is nothing here."""
    nothing = cast("Any", None)
    values: dict[str, Any] = {
        "label": "", "style": "", "condition": "{}", "model": "m",
        "status": "completed", "stop_reason": "end_turn",
        "error_code": None, "message": "", "summary": "Done.", "turns": 2, "seconds": 1.25,
        "usage": Usage(input_tokens=1, output_tokens=2, cache_write_tokens=3,
                       cache_read_tokens=4, cost_usd=0.0123),
        "patch_bytes": 10, "patch_truncated": False, "files_changed": 1, "insertions": 3,
        "deletions": 1, "check": None, "changes": nothing, "patch": nothing,
        "directory": nothing, "transcript": nothing, "container": nothing,
    }  # fmt: skip
    return Variation(variation_id=number, **{**values, **fields})


def check(exit_code: int | None) -> CheckResult:
    passed = exit_code == 0
    return CheckResult(
        command="pytest | tail",
        exit_code=exit_code,
        passed=passed,
        seconds=2.0,
        output="one\ntwo\n",
    )


UNPRICED = Usage(
    input_tokens=1, output_tokens=0, cache_write_tokens=0, cache_read_tokens=0, cost_usd=None
)
FAILED = variation(
    2, status="failed", stop_reason=None, error_code="model_not_found",
    message="model: x", usage=UNPRICED, check=check(None),
)  # fmt: skip


def test_the_table() -> None:
    variations = [variation(1, label="small", check=check(0)), FAILED]
    variations += [variation(3, stop_reason="limit_turns", patch_truncated=True, check=check(5))]
    lines = report.summary("run_x", "abc", variations).splitlines()
    assert lines[0] == "run_x, commit abc"
    head, *rows = [re.split(r" {2,}", line) for line in lines[2:6]]
    assert " ".join(head) == "# label model status why turns tokens cost seconds patch check"
    assert rows[0][4:] == ["end_turn", "2", "10", "$0.0123", "1.2", "+3 -1", "passed in 2.0 s"]
    assert rows[1][3:8] == ["failed", "model_not_found", "2", "1", "unknown"]
    assert rows[1][-1] == "did not finish"
    assert rows[2][-2:] == ["too long", "failed (5) in 2.0 s"]
    assert len({line.index("$") for line in lines if "$" in line}) == 1
    assert lines[7].startswith("variation 2: model_not_found: model: x Check the model's name")
    assert len(lines) == 8


def test_without_checks_there_is_no_column_of_them() -> None:
    text = report.summary("run_x", None, [variation(1)])
    assert text.startswith("run_x\n\n#  label")
    assert "check" not in text


def test_the_page() -> None:
    page = report.markdown("run_x", "abc", "Do it.\nWell.", [variation(1, label="a|b"), FAILED])
    assert "> Do it.\n> Well.\n" in page
    assert r"| a\|b |" in page
    assert "## Variation 1: a|b\n\nDone.\n" in page
    assert "## Variation 2\n\nmodel_not_found: model: x" in page
    assert "Check `pytest | tail`: did not finish\n\n    one\n    two\n" in page


def test_the_json() -> None:
    found = json.loads(report.machine_readable("run_x", None, "é", [variation(1, check=check(0))]))
    assert found["prompt"] == "é"
    assert found["commit"] is None
    (only,) = found["variations"]
    assert only["usage"]["cost_usd"] == 0.0123
    assert only["check"]["exit_code"] == 0
    assert "patch" not in only
