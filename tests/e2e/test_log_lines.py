"""What ``aideator serve`` logs, line by line."""

import json
import logging
from datetime import datetime
from pathlib import Path

import pytest

from aideator.protocol import Secrets
from aideator_gateway.command.cli.logs import JsonLines, TextLines
from aideator_gateway.runs.context import working_on
from tests.support.forked import serving
from tests.support.talking import wait

SECRET = 'sk-"quoted"-0123456789'  # noqa: S105 - of no server
TOKEN = "token-of-this-gateway-42"  # noqa: S105 - of this test


def record(message: str, *arguments: object, failed: bool = False) -> logging.LogRecord:
    error = ValueError(f"it failed with {SECRET}") if failed else None
    info = (type(error), error, None) if error else None
    return logging.LogRecord("a.b", logging.WARNING, "f.py", 1, message, arguments, info)


def test_a_line_is_an_object_with_run_and_variation_and_no_secret() -> None:
    lines = JsonLines(Secrets([SECRET]))
    with working_on("run_1", 2):
        line = lines.format(record("asked with %s\n\x1b[2J", SECRET, failed=True))
    assert "\n" not in line
    assert line.isascii()
    said = json.loads(line)
    moment = datetime.fromisoformat(said.pop("time"))
    assert moment.utcoffset() is not None
    assert "ValueError: it failed with ***" in said.pop("exception")
    assert said == {
        "level": "warning", "logger": "a.b", "message": "asked with ***\n\x1b[2J",
        "run_id": "run_1", "variation_id": 2,
    }  # fmt: skip
    assert {"run_id", "variation_id", "exception"}.isdisjoint(json.loads(lines.format(record("x"))))


def test_a_line_for_people_has_no_secret_either() -> None:
    said = TextLines(Secrets([SECRET])).format(record("asked with %s", SECRET, failed=True))
    assert said.startswith("WARNING: asked with ***\n")
    assert SECRET not in said


def test_a_gateway_logs_json_of_its_runs(shared_repository: Path, tmp_path: Path) -> None:
    flags = ("--backend", "local", "--allow-file", "--log-format", "json", "--log-level", "debug")
    with serving(
        tmp_path / "data", *flags, token=TOKEN, AIDEATOR_API_KEY=SECRET,
        # Nobody listens there.
        AIDEATOR_BASE_URL="http://127.0.0.1:9",
    ) as gateway:  # fmt: skip
        run_id = gateway.create(
            github_url=shared_repository.as_uri(), variations=1, prompt="Not for the log.",
            limits={"max_retries": 0},
        )  # fmt: skip
        gateway.finish(run_id)

        def lines() -> list[dict[str, object]]:
            return [json.loads(line) for line in gateway.log.read_text().splitlines()]

        wait(lambda: any(line["message"] == f"run {run_id} is failed" for line in lines()))
        said = lines()
    # What the broker says is no one run's.
    assert "run_id" not in next(
        one for one in said if "upstream_unreachable" in str(one["message"])
    )
    of_run = [line for line in said if line.get("run_id") == run_id]
    assert [line["message"] for line in of_run] == [
        f"run {run_id} begins",
        f"variation 1 of {run_id} is failed: connection_failed",
        f"run {run_id} is failed",
    ]
    assert [line.get("variation_id") for line in of_run] == [None, 1, None]
    assert any(str(line["message"]).startswith("listening on ") for line in said)
    text = gateway.log.read_text()
    for hidden in (SECRET, SECRET.replace('"', '\\"'), TOKEN, "Not for the log."):
        assert hidden not in text


@pytest.mark.parametrize(("level", "said"), [("info", True), ("warning", False)])
def test_a_level_leaves_out_what_is_below(tmp_path: Path, level: str, said: bool) -> None:
    flags = ("--demo", "--backend", "local", "--log-level", level)
    with serving(tmp_path / "data", *flags) as gateway:
        pass
    assert ("listening on " in gateway.log.read_text()) is said
