"""Styles and a variation's own limits: checked before a run starts, applied, and kept with it."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from aideator.protocol import Condition, Limits, Styles, VariationLimits
from aideator_gateway.scripted_model.script import Text, ToolUse
from aideator_gateway.scripted_model.server import Script, ScriptedModel
from tests.support.forked import serving
from tests.support.gateways import Gateway

SHIPPED = ["smallest", "test-first", "thorough"]
SYSTEM = Path(__file__).parents[2] / "src/aideator/agent/prompts/system.md"


def test_the_shipped_styles_are_short_and_say_nothing_twice() -> None:
    assert Styles().names() == SHIPPED
    texts = [Styles().text(name) or "" for name in SHIPPED] + [SYSTEM.read_text()]
    assert all(100 < len(text) < 1500 for text in texts)
    lines = [line for text in texts for line in text.splitlines() if line]
    assert len(lines) == len(set(lines))


def test_a_style_of_ones_own_goes_before_a_shipped_one(tmp_path: Path) -> None:
    (tmp_path / "smallest.md").write_text("  Mine.\n")
    (tmp_path / "haiku.md").write_text("In verse.")
    (tmp_path / "Not A Name.md").write_text("x")
    styles = Styles(tmp_path)
    assert styles.names() == ["haiku", *SHIPPED]
    assert (styles.text("smallest"), styles.text("haiku")) == ("Mine.", "In verse.")
    assert styles.text("Not A Name") is None
    assert Styles(tmp_path / "missing").names() == SHIPPED


@pytest.mark.parametrize("content", [b"", b" \n", b"\xff", b"x" * 100_001, None])
def test_a_file_that_is_no_style_is_named(tmp_path: Path, content: bytes | None) -> None:
    if content is None:
        (tmp_path / "odd.md").mkdir()
    else:
        (tmp_path / "odd.md").write_bytes(content)
    with pytest.raises(ValidationError, match=r"odd\.md (cannot be read|must hold)"):
        Condition.model_validate({"style": "odd"}, context=Styles(tmp_path))


@pytest.mark.parametrize(
    ("given", "field", "words"),
    [
        ({"style": "tiny"}, ("style",), "use smallest, test-first, thorough, or give"),
        ({"style": "../smallest"}, ("style",), "not a known style"),
        ({"style": "A b", "style_text": "x"}, ("style",), "lower-case letters"),
        ({"style_text": "x"}, (), "its name"),
        ({"style": "tiny", "style_text": ""}, ("style_text",), "at least 1 character"),
        ({"limits": {"max_turns": 0}}, ("limits", "max_turns"), "greater than or equal to 1"),
        ({"limits": {"max_run_cost_usd": 1}}, ("limits", "max_run_cost_usd"), "not permitted"),
    ],
)
def test_a_condition_that_cannot_be_used_has_one_readable_error(
    given: dict[str, Any], field: tuple[str, ...], words: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        Condition.model_validate(given)
    (found,) = caught.value.errors()
    assert found["loc"] == field
    assert words in found["msg"]


def test_a_condition_carries_its_styles_text_from_then_on(tmp_path: Path) -> None:
    (tmp_path / "own.md").write_text("Mine.")
    condition = Condition.model_validate({"style": "own"}, context=Styles(tmp_path))
    (tmp_path / "own.md").unlink()
    assert condition.style_text == "Mine."
    assert Condition.model_validate_json(condition.model_dump_json()) == condition
    kept = Condition.model_validate(condition.model_dump(exclude_none=True))
    assert kept == condition
    assert kept.name == "own"
    assert kept.model_copy(update={"label": "a"}).name == "a"


def test_own_limits_replace_the_runs_but_never_raise_its_budget() -> None:
    run = Limits(max_turns=9, max_tokens=500, max_cost_usd=1.0, max_run_cost_usd=6.0)
    assert run.for_one_of(3, None) == run.for_one_of(3)
    own = VariationLimits(max_turns=2, max_cost_usd=1.5)
    assert run.for_one_of(3, own) == Limits(
        max_turns=2, max_tokens=500, max_cost_usd=1.5, max_run_cost_usd=None
    )
    assert run.for_one_of(3, VariationLimits(max_cost_usd=50)).max_cost_usd == 2.0


def test_an_unknown_style_is_refused_with_the_field_and_the_known_ones(
    demo_gateway: Gateway, shared_repository: Path
) -> None:
    before = demo_gateway.http.get("/runs").json()["runs"]
    body = {
        "github_url": shared_repository.as_uri(),
        "prompt": "x",
        "conditions": [{"style": "smallest"}, {"style": "tiny"}],
    }
    refused = demo_gateway.http.post("/runs", json=body)
    assert refused.status_code == 422
    (error,) = refused.json()["errors"]
    assert error["field"] == "conditions.1.style"
    assert "smallest, test-first, thorough" in error["message"]
    assert demo_gateway.http.get("/runs").json()["runs"] == before


def test_what_applied_reaches_the_model_and_stays_with_the_run(
    shared_repository: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    own = data / "styles" / "haiku.md"
    own.parent.mkdir(parents=True)
    own.write_text("Sum up in {verse}.\n")
    look = [ToolUse("list_files", {})]
    with (
        ScriptedModel(Script(default=[look, look, [Text("Done.")]])) as model,
        serving(
            data, "--backend", "local", "--allow-file", "--base-url", model.base_url,
            AIDEATOR_API_KEY="key",
        ) as gateway,
    ):  # fmt: skip
        assert gateway.http.get("/readyz").json()["styles"] == ["haiku", *SHIPPED]
        run_id = gateway.create(
            github_url=shared_repository.as_uri(),
            conditions=[
                {"style": "haiku", "instructions": "Be kind."},
                {"style": "smallest", "limits": {"max_turns": 1}},
                {"style": "given", "style_text": "As said here."},
                {},
            ],
            limits={"max_turns": 7},
        )
        own.unlink()
        run = gateway.finish(run_id)
        asked = {request.variation: request.body["system"][0]["text"] for request in model.requests}
    base, _, style = asked[1].partition("\n\n# Style of this attempt; where it differs from the")
    assert style == (
        " above, it holds\n\nSum up in {verse}.\n\n# Instructions for this attempt\n\nBe kind."
    )
    assert asked[2].endswith(f"\n\n{Styles().text('smallest')}")
    assert asked[3].endswith("\n\nAs said here.")
    assert asked[4] == base

    conditions = [variation["condition"] for variation in run["variations"]]
    assert [c["style"] for c in conditions] == ["haiku", "smallest", "given", None]
    assert conditions[0]["style_text"] == "Sum up in {verse}."
    assert conditions[1]["style_text"] == Styles().text("smallest")
    assert conditions[1]["limits"]["max_turns"] == 1
    assert run["limits"]["max_turns"] == 7
    ends = [variation["stop_reason"] for variation in run["variations"]]
    assert ends == ["end_turn", "limit_turns", "end_turn", "end_turn"]


def test_a_body_is_the_same_under_its_key_though_its_style_is_filled_in(
    demo_gateway: Gateway, shared_repository: Path
) -> None:
    body = {
        "github_url": shared_repository.as_uri(),
        "prompt": "x",
        "conditions": [{"style": "smallest"}],
    }
    headers = {"Idempotency-Key": "styles-test"}
    first, again = (
        demo_gateway.http.post("/runs", content=json.dumps(body), headers={
            **headers, "Content-Type": "application/json",
        })
        for _ in range(2)
    )  # fmt: skip
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json() == again.json()
    demo_gateway.finish(first.json()["run_id"])
