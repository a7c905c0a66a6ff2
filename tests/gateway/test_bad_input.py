"""Bad input is answered with a problem that names the field, and starts nothing."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.forked import serving
from tests.support.gateways import Gateway

GOOD = {"github_url": "https://github.com/user/repo", "prompt": "Do it."}


HUGE = "9" * 4400
"""More digits than Python turns into a number."""


def count(gateway: Gateway) -> int:
    return len(gateway.http.get("/runs", params={"limit": 200}).json()["runs"])


def refused(gateway: Gateway, status: int, **request: Any) -> dict[str, Any]:
    before = count(gateway)
    response = gateway.http.post("/runs", **request)
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    assert count(gateway) == before
    return problem


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"github_url": None}, "github_url"),
        ({"github_url": ""}, "github_url"),
        ({"github_url": 5}, "github_url"),
        ({"github_url": "git@github.com:user/repo"}, "github_url"),
        ({"github_url": "ext::sh -c id"}, "github_url"),
        ({"github_url": "--upload-pack=id"}, "github_url"),
        ({"github_url": "https://a:b@github.com/user/repo"}, "github_url"),
        ({"github_url": "https://example.com/user/repo"}, "github_url"),
        ({"prompt": None}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": " \n\t "}, "prompt"),
        ({"prompt": "\x85\u2028\x1c"}, "prompt"),
        ({"prompt": "\ufeff"}, "prompt"),
        ({"prompt": ["x"]}, "prompt"),
        ({"variations": 0}, "variations"),
        ({"variations": 6}, "variations"),
        ({"variations": -1}, "variations"),
        ({"variations": "3"}, "variations"),
        ({"variations": 2.0}, "variations"),
        ({"variations": 2.5}, "variations"),
        ({"variations": True}, "variations"),
        ({"variations": None}, "variations"),
        ({"ref": "--x"}, "ref"),
        ({"ref": ""}, "ref"),
        ({"repo": "https://github.com/user/repo"}, "repo"),
        ({"conditions": []}, "conditions"),
        ({"conditions": [{"tempo": 1}]}, "conditions.0.tempo"),
        ({"conditions": [{}] * 6}, "conditions"),
        ({"limits": {"max_turns": 0}}, "limits.max_turns"),
        ({"limits": {"turns": 3}}, "limits.turns"),
        ({"check": " "}, "check"),
        ({"check": "a\0b"}, "check"),
        ({"check": "x" * 30_001}, "check"),
        ({"variations": 2, "conditions": [{}]}, "conditions"),
    ],
)
def test_a_field_that_cannot_be_used_is_named(
    demo_gateway: Gateway, change: dict[str, Any], field: str
) -> None:
    problem = refused(demo_gateway, 422, json={**GOOD, **change})
    assert problem["code"] == "invalid_request"
    assert field in [error["field"] for error in problem["errors"]]


@pytest.mark.parametrize("field", ["github_url", "prompt"])
def test_a_missing_field_is_named(demo_gateway: Gateway, field: str) -> None:
    body = {name: value for name, value in GOOD.items() if name != field}
    problem = refused(demo_gateway, 422, json=body)
    assert problem["errors"] == [{"field": field, "message": "This field is required."}]


@pytest.mark.parametrize(
    ("change", "known"),
    [
        ({"repo": "x"}, "github_url, prompt, variations"),
        ({"limits": {"turns": 3}}, "max_turns, max_tokens, max_seconds"),
        ({"conditions": [{}, {"tempo": 1}]}, "label, model, provider, instructions"),
        ({"conditions": [{"limits": {"turns": 3}}]}, "max_turns, max_tokens, max_seconds"),
    ],
)
def test_an_unknown_field_is_told_which_are_known(
    demo_gateway: Gateway, change: dict[str, Any], known: str
) -> None:
    (error,) = refused(demo_gateway, 422, json={**GOOD, **change})["errors"]
    assert error["message"].startswith("This field is not known; known are ")
    assert known in error["message"]


def test_variations_that_do_not_agree_with_the_conditions(demo_gateway: Gateway) -> None:
    problem = refused(demo_gateway, 422, json={**GOOD, "variations": 3, "conditions": [{}, {}]})
    assert "2 conditions" in problem["detail"]


@pytest.mark.parametrize("body", [b"", b"[]", b"3", b'"x"', b"null", b"{", b"\xff\xfe", b"{}x"])
def test_a_body_that_is_no_json_object(demo_gateway: Gateway, body: bytes) -> None:
    problem = refused(demo_gateway, 400, content=body, headers={"Content-Type": "application/json"})
    assert problem["code"] == "invalid_json"


def test_deep_nesting_is_refused_not_a_crash(demo_gateway: Gateway) -> None:
    body = b'{"prompt":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    refused(demo_gateway, 400, content=body, headers={"Content-Type": "application/json"})


def test_a_body_over_one_mebibyte(demo_gateway: Gateway) -> None:
    problem = refused(demo_gateway, 413, json={**GOOD, "prompt": "x" * (1024 * 1024)})
    assert problem["code"] == "body_too_large"


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
def test_only_json_starts_anything(demo_gateway: Gateway, content_type: str) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    problem = refused(demo_gateway, 415, content=b"{}", headers=headers)
    assert problem["code"] == "unsupported_media_type"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/runs/run_none", 404, "run_not_found"),
        ("GET", "/runs/run_none/stream", 404, "run_not_found"),
        ("GET", "/runs/run_none/variations/1/patch", 404, "run_not_found"),
        ("GET", "/runs/run_none/variations/1/transcript", 404, "run_not_found"),
        ("POST", "/runs/run_none/select", 404, "run_not_found"),
        ("POST", "/runs/run_none/cancel", 404, "run_not_found"),
        ("GET", "/nothing", 404, "not_found"),
        ("PUT", "/runs", 405, "method_not_allowed"),
        ("GET", "/runs?limit=0", 422, "invalid_request"),
        ("GET", "/runs?limit=x", 422, "invalid_request"),
        ("GET", "/runs?cursor=run_none", 422, "invalid_request"),
        ("GET", "/runs?cursor=", 422, "invalid_request"),
        ("GET", "/runs?cursor=%ff", 422, "invalid_request"),
        ("GET", "/runs?cursor=1.", 422, "invalid_request"),
        ("GET", "/runs?cursor=%D9%A3.run_none", 422, "invalid_request"),
        ("GET", "/runs?cursor=1.run_none%0A", 422, "invalid_request"),
        ("GET", "/runs?cursor=999999999999999999.run_none", 422, "invalid_request"),
        ("GET", "/runs?limit=+5", 422, "invalid_request"),
        ("GET", "/runs?limit=1_0", 422, "invalid_request"),
        ("GET", f"/runs?limit={HUGE}", 422, "invalid_request"),
        ("GET", f"/runs/{HUGE}", 404, "run_not_found"),
        ("GET", f"/runs/run_none/variations/{HUGE}/patch", 404, "variation_not_found"),
        ("GET", f"/runs/run_none/variations/{HUGE}/transcript", 404, "variation_not_found"),
        ("GET", "/runs/run_none/variations/-1/patch", 404, "variation_not_found"),
        ("GET", "/runs/run_none/variations/one/patch", 404, "variation_not_found"),
        ("GET", "/runs/run_none/variations/%D9%A3/patch", 404, "variation_not_found"),
        ("GET", f"/runs?cursor={HUGE}", 422, "invalid_request"),
    ],
)
def test_what_does_not_exist(
    demo_gateway: Gateway, method: str, path: str, status: int, code: str
) -> None:
    body = {"winning_variation_id": 1} if path.endswith("select") else {}
    response = demo_gateway.http.request(method, path, json=body)
    assert (response.status_code, response.json()["code"]) == (status, code)


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/runs", {"GET", "HEAD", "POST"}),
        ("/runs/run_none", {"GET", "HEAD", "DELETE"}),
        ("/runs/run_none/stream", {"GET", "HEAD"}),
        ("/runs/run_none/cancel", {"POST"}),
        ("/healthz", {"GET", "HEAD"}),
        ("/docs/assets/swagger-ui.css", {"GET", "HEAD"}),
    ],
)
def test_another_method_is_told_all_that_are_allowed(
    demo_gateway: Gateway, path: str, allowed: set[str]
) -> None:
    headers = {"Content-Type": "text/plain"}
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} - allowed:
        answer = demo_gateway.http.request(method, path, content=b"x", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed"), method
        assert set(answer.headers["allow"].split(", ")) == allowed


def test_a_run_is_cancelled_without_a_body(demo_gateway: Gateway, shared_repository: Path) -> None:
    ways: list[dict[str, Any]] = [
        {},
        {"json": {}},
        {"headers": {"Content-Type": "application/json"}},
    ]
    for given in ways:
        run_id = demo_gateway.create(github_url=shared_repository.as_uri(), variations=1)
        answer = demo_gateway.http.post(f"/runs/{run_id}/cancel", **given)
        assert (answer.status_code, answer.json()["run_id"]) == (200, run_id)


@pytest.mark.parametrize("content", [b"", b"{}", b"a=b"])
@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
)
def test_no_form_cancels(demo_gateway: Gateway, kind: str, content: bytes) -> None:
    answer = demo_gateway.http.post(
        "/runs/run_none/cancel", content=content, headers={"Content-Type": kind}
    )
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
def test_no_foreign_page_cancels_without_a_body(demo_gateway: Gateway, origin: str) -> None:
    answer = demo_gateway.http.post("/runs/run_none/cancel", headers={"Origin": origin})
    assert (answer.status_code, answer.json()["code"]) == (403, "origin_not_allowed")


def test_what_cancels_has_nothing_to_say(demo_gateway: Gateway) -> None:
    answer = demo_gateway.http.post("/runs/run_none/cancel", json={"variation_id": 1})
    assert answer.json()["errors"] == [
        {"field": "variation_id", "message": "No field is known here."}
    ]


def test_the_head_of_a_stream_is_not_followed(tmp_path: Path, shared_repository: Path) -> None:
    flags = ("--demo", "--backend", "local", "--allow-file", "--demo-tokens-per-second", "1")
    with serving(tmp_path / "data", *flags) as gateway:
        run_id = gateway.create(github_url=shared_repository.as_uri(), variations=1)
        answer = gateway.http.head(f"/runs/{run_id}/stream")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        # On the same connection there is no answer before that one is done.
        assert gateway.run(run_id)["status"] in ("pending", "running")
        assert "aideator_streams_open 0.0" in gateway.http.get("/metrics").text


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "[::2]", ""])
def test_a_foreign_host_is_refused(demo_gateway: Gateway, host: str) -> None:
    response = demo_gateway.http.get("/runs", headers={"Host": host})
    assert response.status_code == 400
    assert response.json()["code"] == "host_not_allowed"


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1:1", "[::1]:8000"])
def test_its_own_names_are_taken(demo_gateway: Gateway, host: str) -> None:
    assert demo_gateway.http.get("/runs", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:1"])
def test_a_foreign_origin_is_refused(demo_gateway: Gateway, origin: str) -> None:
    before = count(demo_gateway)
    response = demo_gateway.http.post("/runs", json=GOOD, headers={"Origin": origin})
    assert response.status_code == 403
    assert response.json()["code"] == "origin_not_allowed"
    assert count(demo_gateway) == before


def test_its_own_origin_is_taken(demo_gateway: Gateway) -> None:
    assert demo_gateway.http.get("/runs", headers={"Origin": demo_gateway.url}).status_code == 200


def test_a_broken_last_event_id_is_named(demo_gateway: Gateway, shared_repository: Any) -> None:
    run_id = demo_gateway.create(github_url=shared_repository.as_uri(), variations=1)
    for bad in ("x", "-1", "1.5", "9" * 40, HUGE):
        response = demo_gateway.http.get(f"/runs/{run_id}/stream", headers={"Last-Event-ID": bad})
        assert (response.status_code, response.json()["code"]) == (400, "invalid_header")
    demo_gateway.http.post(f"/runs/{run_id}/cancel", json={})


def test_a_bad_request_line_is_not_a_crash(demo_gateway: Gateway) -> None:
    response = httpx.get(f"{demo_gateway.url}/%00%ff", trust_env=False)
    assert response.status_code == 404
