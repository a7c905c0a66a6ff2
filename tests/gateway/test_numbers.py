"""A number in a request is a finite number and nothing that only looks like one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aideator_gateway.runs.model import NewRun
from tests.support.gateways import Gateway

JSON = {"Content-Type": "application/json"}

WHOLE = (
    "variations",
    "limits.max_turns",
    "limits.max_tokens",
    "limits.max_retries",
    "conditions.0.thinking_tokens",
    "conditions.0.limits.max_turns",
    "conditions.0.limits.max_tokens",
    "conditions.0.limits.max_retries",
)
REAL = (
    "limits.max_seconds",
    "limits.max_cost_usd",
    "limits.max_run_cost_usd",
    "conditions.0.temperature",
    "conditions.0.limits.max_seconds",
    "conditions.0.limits.max_cost_usd",
)
NO_NUMBERS = ("true", "false", '"2"', '"NaN"', "[2]", "{}")
NOT_FINITE = ("NaN", "Infinity", "-Infinity", "1e400", "-1e400", f"1{'0' * 400}")
NOT_WHOLE = ("1e400", "NaN", "2.5", "2.0", "2e0", f"1{'0' * 400}")


def body(field: str, value: str) -> bytes:
    """Return a request as text, since no JSON library writes all that can be sent."""
    inner = value
    for name in reversed(field.split(".")):
        inner = f"[{inner}]" if name == "0" else f'{{"{name}": {inner}}}'
    return f'{{"github_url": "https://github.com/user/repo", "prompt": "x", {inner[1:]}'.encode()


def refused() -> Iterator[tuple[str, str]]:
    for field in (*WHOLE, *REAL):
        more = NOT_WHOLE if field in WHOLE else NOT_FINITE
        yield from ((field, value) for value in (*NO_NUMBERS, *more))


def test_it_is_refused_by_name_and_lists_stay_readable(demo_gateway: Gateway) -> None:
    before = runs(demo_gateway)
    for field, value in refused():
        answer = demo_gateway.http.post("/runs", content=body(field, value), headers=JSON)
        assert answer.status_code == 422, (field, value, answer.text)
        assert field in [error["field"] for error in answer.json()["errors"]], (field, value)
    assert runs(demo_gateway) == before


def runs(gateway: Gateway) -> list[str]:
    answer = gateway.http.get("/runs", params={"limit": 200})
    assert answer.status_code == 200, answer.text
    return [run["run_id"] for run in answer.json()["runs"]]


@pytest.mark.parametrize("value", [*NO_NUMBERS, "NaN", "1e400", "2.5", "2.0"])
def test_a_winner_is_a_whole_number(demo_gateway: Gateway, value: str) -> None:
    answer = demo_gateway.http.post(
        "/runs/run_none/select",
        content=f'{{"winning_variation_id": {value}}}'.encode(),
        headers=JSON,
    )
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["winning_variation_id"]


@pytest.mark.parametrize("variations", ["true", "1.0", '"1"'])
def test_one_condition_does_not_make_anything_the_number_one(
    demo_gateway: Gateway, variations: str
) -> None:
    request = body("conditions.0.label", '"a"')[:-1] + f', "variations": {variations}}}'.encode()
    answer = demo_gateway.http.post("/runs", content=request, headers=JSON)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["variations"]


@pytest.mark.parametrize("field", REAL)
def test_a_whole_number_is_a_number(field: str) -> None:
    value: Any = NewRun.model_validate_json(body(field, "1")).model_dump()
    for name in field.split("."):
        value = value[int(name) if name == "0" else name]
    assert (value, type(value)) == (1.0, float)


@pytest.mark.parametrize(
    "content",
    [
        b'{"prompt": "\\ud800"}',
        b'{"prompt": "\\udc00\\ud800"}',
        b'{"prompt": "\xed\xa0\x80"}',
        b'{"variations": 1' + b"0" * 5000 + b"}",
        b'{"variations": .5}',
        b'{"prompt": nul}',
        b'{"conditions": ' + b'[{"limits":' * 5000 + b"{}" + b"}]" * 5000 + b"}",
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    ],
    ids=range(8),
)
def test_what_no_reader_can_read_is_no_json(demo_gateway: Gateway, content: bytes) -> None:
    answer = demo_gateway.http.post("/runs", content=content, headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_json")


@pytest.mark.parametrize("value", ["null", "true", "0", "-1", "1e400", '""', '"\\u0000"', "[]"])
def test_every_field_takes_anything_without_a_crash(demo_gateway: Gateway, value: str) -> None:
    names = ("label", "model", "instructions", "style_text", "style", "temperature", "effort",
             "thinking_tokens", "limits")  # fmt: skip
    fields = [*NewRun.model_fields, *(f"conditions.0.{name}" for name in names)]
    for field in (*fields, *WHOLE, *REAL, "limits", "conditions.0"):
        # A URL that is refused, so that nothing starts where the field may be anything.
        content = body(field, value).replace(b"https://github.com", b"https://none.invalid")
        answer = demo_gateway.http.post("/runs", content=content, headers=JSON)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request"), field


def test_the_smallest_cap_is_shared_without_harm(
    demo_gateway: Gateway, shared_repository: Path
) -> None:
    run_id = demo_gateway.create(
        github_url=shared_repository.as_uri(), variations=2, limits={"max_run_cost_usd": 5e-324}
    )
    run = demo_gateway.finish(run_id)
    assert [variation["code"] for variation in run["variations"]] == [None, None]
    assert run["status"] == "completed"
