"""The API's description is true: it is generated, valid, and the server keeps to it."""

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from openapi_spec_validator import validate
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from aideator_gateway.http.openapi import document
from aideator_gateway.http.routes import ROUTES
from tests.support.gateways import Gateway

COPY = Path(__file__).parents[2] / "docs" / "openapi.json"

schema = schemathesis.openapi.from_dict(document())


def test_the_copy_in_docs_is_current() -> None:
    assert json.loads(COPY.read_text()) == document(), (
        "run: .venv/bin/python -m aideator_gateway.http.openapi > docs/openapi.json"
    )


def test_it_is_valid_openapi_3_1() -> None:
    validate(document())


def test_every_route_is_described() -> None:
    served = {
        (route.path.replace(":int", ""), method)
        for route in ROUTES
        if hasattr(route, "methods") and route.path not in ("/docs", "/openapi.json")
        for method in route.methods or ()
        if method != "HEAD"
    }
    described = {
        (path, method.upper())
        for path, operations in document()["paths"].items()
        for method in operations
        if method != "parameters"
    }
    assert described == served


# Streams and scripted runs take time; deadlines are for functions, not for a server.
@schema.include(method="GET").exclude(path="/runs/{run_id}/stream").parametrize()
def test_reading_keeps_to_the_description(case: Any, demo_gateway: Gateway) -> None:
    keeps_to_the_description(case, demo_gateway)


@schema.include(method=["POST", "DELETE"]).parametrize()
def test_changing_keeps_to_the_description(case: Any, demo_gateway: Gateway) -> None:
    keeps_to_the_description(case, demo_gateway)


def keeps_to_the_description(case: Any, gateway: Gateway) -> None:
    response = case.call(base_url=gateway.url)
    case.validate_response(
        response,
        checks=[
            not_a_server_error,
            status_code_conformance,
            content_type_conformance,
            response_schema_conformance,
        ],
    )


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
    # The generator knows neither JSON lines nor diffs; both are bytes to it.
    config.write_text(
        "content_type_overrides:\n"
        "  application/jsonl: application/octet-stream\n"
        "  text/x-diff: application/octet-stream\n"
        "post_hooks: []\n"
    )
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
        assert call("get_run", run_id, client=client).winning_variation_id == 2
