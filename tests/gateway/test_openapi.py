"""The API's description is true: it is generated, valid, and the server keeps to it."""

import importlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import validate

from aideator_gateway.http.endpoints import ENDPOINTS
from aideator_gateway.http.openapi import document
from aideator_gateway.http.routes import api_routes
from aideator_gateway.texts import SPACE
from tests.support.gateways import Gateway

COPY = Path(__file__).parents[2] / "docs" / "openapi.json"


def test_the_copy_in_docs_is_current() -> None:
    assert json.loads(COPY.read_text()) == document(), (
        "run: .venv/bin/python -m aideator_gateway.http.openapi > docs/openapi.json"
    )


def test_it_is_valid_openapi_3_1() -> None:
    validate(document())


def test_what_is_routed_and_what_is_described_are_what_is_declared() -> None:
    declared = {(endpoint.path, endpoint.method) for endpoint in ENDPOINTS}
    served = {
        (route.path, method)
        for route in api_routes(ENDPOINTS)
        for method in route.methods or ()
        if method != "HEAD"
    }
    described = {
        (path, method.upper())
        for path, operations in document()["paths"].items()
        for method in operations
        if method != "parameters"
    }
    assert declared == served == described
    assert len({endpoint.name for endpoint in ENDPOINTS}) == len(ENDPOINTS)


def test_a_request_asks_only_for_what_must_be_given() -> None:
    sent = {
        name: schema
        for name, schema in document()["components"]["schemas"].items()
        if name.startswith("New") or name.endswith("-Input") or name == "Cancellation"
    }
    required = {name: schema["required"] for name, schema in sent.items() if "required" in schema}
    assert required == {
        "NewJudgment": ["id", "left", "right", "verdict"],
        "NewRun": ["github_url", "prompt"],
        "NewSelection": ["winning_variation_id"],
    }
    assert {"Condition-Input", "Limits-Input", "VariationLimits-Input"} < sent.keys()
    # To openapi-typescript a field with a default is one that must be given.
    assert [name for name, schema in sent.items() if "'default'" in repr(schema)] == []


def test_an_answer_has_all_that_the_description_says(
    demo_gateway: Gateway, shared_repository: Path
) -> None:
    schemas = document()["components"]["schemas"]
    run_id = demo_gateway.create(github_url=shared_repository.as_uri(), conditions=[{"limits": {}}])
    run = demo_gateway.finish(run_id)
    (variation,) = run["variations"]
    answered = {
        "Run": run,
        "Limits-Output": run["limits"],
        "Variation": variation,
        "Condition-Output": variation["condition"],
        "VariationLimits-Output": variation["condition"]["limits"],
        "Usage": variation["usage"],
        "PatchStat": variation["patch"],
    }
    for name, found in answered.items():
        assert set(schemas[name]["required"]) == set(schemas[name]["properties"]) == set(found)


def test_a_pattern_means_the_same_to_every_reader() -> None:
    found = set(_patterns_in(document()))
    assert any(SPACE in pattern for pattern in found)
    # These are other sets to Python, to ECMAScript and to the server.
    assert [p for p in found if re.search(r"\\[sSwWdDbB]", p.replace(SPACE, ""))] == []


def test_the_page_needs_no_network(demo_gateway: Gateway) -> None:
    page = demo_gateway.http.get("/docs").text
    assert "https://" not in page
    assert "//cdn" not in page
    for asset in ("/docs/assets/swagger-ui.css", "/docs/assets/swagger-ui-bundle.js"):
        assert asset in page
        assert len(demo_gateway.http.get(asset).content) > 10_000
    assert demo_gateway.http.get("/openapi.json").json() == document()


def test_a_generated_client_works(
    demo_gateway: Gateway,
    shared_repository: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = tmp_path / "config.yml"
    # As it comes, but for the formatting of what it made.
    config.write_text("post_hooks: []\n")
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("openapi-python-client")), "generate",
            "--path", str(COPY), "--meta", "none", "--config", str(config),
            "--output-path", str(tmp_path / "made_client"),
        ],
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stdout + done.stderr, done.stdout + done.stderr
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file", "", "made_client"],
        cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout
    monkeypatch.syspath_prepend(tmp_path)
    models = importlib.import_module("made_client.models")

    def call(name: str, *words: Any, **named: Any) -> Any:
        return importlib.import_module(f"made_client.api.runs.{name}").sync(*words, **named)

    body = models.NewRun(github_url=shared_repository.as_uri(), prompt="Improve it.", variations=2)
    choice = models.NewSelection(winning_variation_id=2)
    with importlib.import_module("made_client").Client(base_url=demo_gateway.url) as client:
        run_id = call("create_run", client=client, body=body).run_id
        demo_gateway.finish(run_id)
        assert call("get_run", run_id, client=client).status == models.Status.COMPLETED
        selected = call("select_variation", run_id, client=client, body=choice)
        assert selected.status == "success"
        run = call("get_run", run_id, client=client)
        assert run.winning_variation_id == 2
        assert [variation.condition.label for variation in run.variations] == [None, None]
        lines = call("get_transcript", run_id, 2, client=client).splitlines()
        assert json.loads(lines[-1])["type"] == "completed"
        assert call("get_patch", run_id, 2, client=client).startswith("diff --git ")
        assert call("cancel_run", run_id, client=client).status == models.Status.COMPLETED
        limits = models.LimitsInput(max_turns=0)
        refused = call("create_run", client=client, body=models.NewRun("x", "x", limits=limits))
        assert (refused.code, refused.errors[0].field) == ("invalid_request", "limits.max_turns")


def _patterns_in(schema: Any) -> Iterator[str]:
    """Give the pattern of each string, at whatever depth."""
    if isinstance(schema, dict):
        if isinstance(pattern := schema.get("pattern"), str):
            yield pattern
        schema = list(schema.values())
    for part in schema if isinstance(schema, list) else ():
        yield from _patterns_in(part)
