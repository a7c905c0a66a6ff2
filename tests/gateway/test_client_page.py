"""The page as files: how it is served, who may have it, and what it may do."""

import gzip
import re
import secrets
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from aideator_gateway.http.client_page import BUILT, page_routes
from aideator_gateway.http.problems import HANDLERS
from tests.support.forked import serving
from tests.support.gateways import Gateway


def client(built: Path) -> TestClient:
    return TestClient(Starlette(routes=[*page_routes(built)], exception_handlers=HANDLERS))


@pytest.fixture
def built(tmp_path: Path) -> Path:
    folder = tmp_path / "static"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>Page</title>")
    (folder / "assets/index-abc.js").write_text("console.log(1)\n" * 100)
    (folder / "icon.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    return folder


def test_files_have_their_types_and_last_as_long_as_their_names(built: Path) -> None:
    page = client(built)
    index = page.get("/")
    assert index.headers["content-type"] == "text/html; charset=utf-8"
    assert index.headers["cache-control"] == "no-cache"
    script = page.get("/page/assets/index-abc.js")
    assert script.headers["content-type"] == "text/javascript; charset=utf-8"
    assert "immutable" in script.headers["cache-control"]
    assert script.headers["content-encoding"] == "gzip"
    assert int(script.headers["content-length"]) < len(script.content)
    plain = page.get("/page/assets/index-abc.js", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.content == script.content
    assert page.get("/page/icon.svg").headers["content-type"] == "image/svg+xml"
    assert page.get("/page/assets/../../client_page.py").status_code == 404
    assert page.get("/page/none").json()["code"] == "not_found"


def test_a_page_that_has_not_changed_is_not_sent_again(built: Path) -> None:
    page = client(built)
    tag = page.get("/").headers["etag"]
    again = page.get("/", headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    (built / "index.html").write_text("<!doctype html><title>Other</title>")
    assert client(built).get("/", headers={"If-None-Match": tag}).status_code == 200


def test_the_policy_lets_nothing_in_and_nothing_out(built: Path) -> None:
    headers = client(built).get("/").headers
    policy = headers["content-security-policy"].split("; ")
    assert policy[0] == "default-src 'none'"
    assert not [
        word for word in re.split(r"[; ]+", "; ".join(policy)) if word.startswith("'unsafe")
    ]
    assert {"base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"} <= set(policy)
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


def test_without_a_built_page_the_address_says_how_to_get_one(tmp_path: Path) -> None:
    answer = client(tmp_path / "none").get("/")
    assert answer.status_code == 404
    assert "make page" in answer.text
    assert "/docs" in answer.text


def test_compressed_files_are_the_same_files(built: Path) -> None:
    with client(built).stream("GET", "/page/assets/index-abc.js") as answer:
        packed = b"".join(answer.iter_raw())
    assert gzip.decompress(packed) == (built / "assets/index-abc.js").read_bytes()


@pytest.mark.skipif(not (BUILT / "index.html").is_file(), reason="the page is not built")
def test_the_first_visit_is_small() -> None:
    page = client(BUILT)
    names = re.findall(r'(?:src|href)="([^"]+)"', page.get("/").text)
    sizes = {name: int(page.get(name).headers["content-length"]) for name in ("/", *names)}
    assert len(sizes) >= 4
    assert sum(sizes.values()) < 60_000, sizes


def test_the_page_needs_no_token_and_the_api_still_does(tmp_path: Path) -> None:
    with serving(
        tmp_path / "data", "--demo", "--backend", "local", token=secrets.token_hex(8)
    ) as gateway:
        bare = {"Authorization": ""}
        assert gateway.http.get("/", headers=bare).status_code in (200, 404)
        assert gateway.http.get("/page/none", headers=bare).status_code == 404
        assert gateway.http.get("/runs", headers=bare).status_code == 401
        assert gateway.http.get("/page/../runs", headers=bare).status_code in (401, 404)


def test_runs_are_found_by_what_people_know_them_by(
    demo_gateway: Gateway, shared_repository: Path
) -> None:
    prompt = "Rename 100% of the Quokkas_ in it. " + "x" * 300
    url = shared_repository.as_uri()
    run_id = demo_gateway.create(
        github_url=url, prompt=prompt, conditions=[{"label": "Wombat"}, {"style": "test-first"}]
    )
    other = demo_gateway.create(github_url=url, prompt="Another one", variations=1)

    def found(search: str) -> set[str]:
        runs = demo_gateway.http.get("/runs", params={"search": search}).json()["runs"]
        return {run["run_id"] for run in runs}

    for search in ("quokka", " WOMBAT ", "test-first", run_id[-8:], "100% of", "quokkas_ "):
        assert found(search) & {run_id, other} == {run_id}, search
    assert {run_id, other} <= found(shared_repository.name)
    assert {run_id, other} <= found("")
    # Wildcards are letters like others.
    assert found("100%the") == set()
    assert found("quokkas__") == set()
    assert demo_gateway.http.get("/runs", params={"search": "x" * 201}).status_code == 422

    listed = demo_gateway.http.get("/runs", params={"search": "quokka"}).json()["runs"][0]
    assert listed["prompt"] == prompt[:200]
    assert demo_gateway.run(run_id)["prompt"] == prompt
