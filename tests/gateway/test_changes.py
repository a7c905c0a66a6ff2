"""What may be done to a run, when, and what it does."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from aideator_gateway.scripted_model.script import Hang, Text, ToolUse
from aideator_gateway.scripted_model.server import Script, ScriptedModel
from tests.support.forked import serving
from tests.support.gateways import Gateway


@pytest.fixture
def finished(demo_gateway: Gateway, shared_repository: Path) -> str:
    run_id = demo_gateway.create(github_url=shared_repository.as_uri(), variations=2)
    demo_gateway.finish(run_id)
    return run_id


def post(gateway: Gateway, body: dict[str, Any], key: str) -> Any:
    return gateway.http.post("/runs", json=body, headers={"Idempotency-Key": key})


def test_selecting_again_replaces_and_keeps_history(demo_gateway: Gateway, finished: str) -> None:
    for number, reason in ((1, "shorter"), (2, None), (1, "clearer")):
        body: dict[str, Any] = {"winning_variation_id": number}
        if reason:
            body["reason"] = reason
        assert demo_gateway.http.post(f"/runs/{finished}/select", json=body).status_code == 200
    run = demo_gateway.run(finished)
    assert run["winning_variation_id"] == 1
    assert [(s["variation_id"], s["reason"]) for s in run["selections"]] == [
        (1, "shorter"),
        (2, None),
        (1, "clearer"),
    ]


def test_that_none_is_good_enough_is_recorded_and_can_be_taken_back(
    demo_gateway: Gateway, finished: str
) -> None:
    choices: list[dict[str, object]] = [
        {"winning_variation_id": 1},
        {"winning_variation_id": None, "reason": "All of them break the build."},
    ]
    for choice in choices:
        assert demo_gateway.http.post(f"/runs/{finished}/select", json=choice).status_code == 200
    run = demo_gateway.run(finished)
    assert run["winning_variation_id"] is None
    last = run["selections"][-1]
    assert (last["variation_id"], last["reason"]) == (None, "All of them break the build.")
    demo_gateway.http.post(f"/runs/{finished}/select", json={"winning_variation_id": 2})
    assert demo_gateway.run(finished)["winning_variation_id"] == 2
    # Nothing at all is not null: who forgets it has not decided.
    answer = demo_gateway.http.post(f"/runs/{finished}/select", json={"reason": "Hm."})
    assert answer.status_code == 422


def test_selecting_what_does_not_exist(demo_gateway: Gateway, finished: str) -> None:
    for winner in (0, -1, 3, 2**80):
        body = {"winning_variation_id": winner}
        answer = demo_gateway.http.post(f"/runs/{finished}/select", json=body)
        assert (answer.status_code, answer.json()["code"]) == (404, "variation_not_found")
    assert demo_gateway.run(finished)["winning_variation_id"] is None


def test_deleting_removes_everything(demo_gateway: Gateway, finished: str) -> None:
    assert demo_gateway.http.delete(f"/runs/{finished}").status_code == 204
    for path in ("", "/stream", "/variations/1/patch", "/variations/1/transcript"):
        assert demo_gateway.http.get(f"/runs/{finished}{path}").status_code == 404
    assert demo_gateway.http.delete(f"/runs/{finished}").status_code == 404


def test_a_running_run(shared_repository: Path, tmp_path: Path) -> None:
    """One variation is done and can be selected while the other runs; deleting has to wait."""
    player = Script({1: [[Text("Done.")]], 2: [[Text("Thinking …"), Hang()]]})
    with (
        ScriptedModel(player) as model,
        serving(
            tmp_path / "data", "--backend", "local", "--allow-file", "--base-url", model.base_url,
            AIDEATOR_API_KEY="a-test-key",
        ) as gateway,
    ):  # fmt: skip
        run_id = gateway.create(github_url=shared_repository.as_uri(), variations=2)
        for event in gateway.stream(run_id):
            if event.event == "completion":
                break
        assert gateway.run(run_id)["status"] == "running"
        early = gateway.http.post(f"/runs/{run_id}/select", json={"winning_variation_id": 2})
        assert (early.status_code, early.json()["code"]) == (409, "variation_not_completed")
        none = gateway.http.post(f"/runs/{run_id}/select", json={"winning_variation_id": None})
        assert (none.status_code, none.json()["code"]) == (409, "run_active")
        chosen = gateway.http.post(f"/runs/{run_id}/select", json={"winning_variation_id": 1})
        assert chosen.status_code == 200
        refused = gateway.http.delete(f"/runs/{run_id}")
        assert (refused.status_code, refused.json()["code"]) == (409, "run_active")
        for _ in range(2):
            cancelled = gateway.http.post(f"/runs/{run_id}/cancel", json={}).json()
            assert cancelled["status"] == "cancelled"
            assert [v["status"] for v in cancelled["variations"]] == ["completed", "cancelled"]
        assert cancelled["winning_variation_id"] == 1
        assert gateway.http.delete(f"/runs/{run_id}").status_code == 204


def test_the_same_key_and_body_are_the_same_run(
    demo_gateway: Gateway, shared_repository: Path
) -> None:
    body = {"github_url": shared_repository.as_uri(), "prompt": "Once.", "variations": 1}
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: post(demo_gateway, body, "twenty"), range(20)))
    assert {answer.status_code for answer in answers} == {202}
    ids = {answer.json()["run_id"] for answer in answers}
    assert len(ids) == 1
    assert [a.headers.get("idempotent-replayed") for a in answers].count("true") == 19
    other = post(demo_gateway, {**body, "prompt": "Twice."}, "twenty")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_conflict")
    assert ids.pop() in other.json()["detail"]


def run_ids(gateway: Gateway) -> list[str]:
    """Return the runs that there are; those of other tests may be at work."""
    return [run["run_id"] for run in gateway.http.get("/runs?limit=200").json()["runs"]]


def test_the_key_of_a_deleted_run_starts_no_other(
    demo_gateway: Gateway, shared_repository: Path
) -> None:
    body = {"github_url": shared_repository.as_uri(), "prompt": "Once.", "variations": 1}
    run_id = post(demo_gateway, body, "deleted").json()["run_id"]
    demo_gateway.http.post(f"/runs/{run_id}/cancel", json={})
    assert demo_gateway.http.delete(f"/runs/{run_id}").status_code == 204
    before = run_ids(demo_gateway)
    for prompt in ("Once.", "Twice."):
        again = post(demo_gateway, {**body, "prompt": prompt}, "deleted")
        assert (again.status_code, again.json()["code"]) == (410, "run_deleted")
        assert run_id in again.json()["detail"]
    assert run_ids(demo_gateway) == before


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb"])
def test_an_unusable_key(demo_gateway: Gateway, key: str) -> None:
    body = {"github_url": "https://github.com/user/repo", "prompt": "x"}
    answer = post(demo_gateway, body, key)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_header")


def test_paging_gives_every_run_once(demo_gateway: Gateway, shared_repository: Path) -> None:
    for _ in range(3):
        run_id = demo_gateway.create(github_url=shared_repository.as_uri(), variations=1)
        demo_gateway.http.post(f"/runs/{run_id}/cancel", json={})
    whole = [r["run_id"] for r in demo_gateway.http.get("/runs?limit=200").json()["runs"]]
    paged: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = demo_gateway.http.get("/runs", params={"limit": "2", **cursor}).json()
        paged += [run["run_id"] for run in page["runs"]]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert paged == whole
    assert len(set(paged)) == len(paged)


def test_a_page_goes_on_behind_a_run_that_was_deleted(
    demo_gateway: Gateway, shared_repository: Path
) -> None:
    for _ in range(4):
        run_id = demo_gateway.create(github_url=shared_repository.as_uri(), variations=1)
        demo_gateway.http.post(f"/runs/{run_id}/cancel", json={})

    def page(**query: str) -> dict[str, Any]:
        answer = demo_gateway.http.get("/runs", params={"limit": "2", **query})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    first = page()
    expected = page(cursor=first["next"])["runs"]
    last = first["runs"][-1]["run_id"]
    # The id of a run is a cursor as well.
    assert page(cursor=last)["runs"] == expected
    assert demo_gateway.http.delete(f"/runs/{last}").status_code == 204
    for cursor in (first["next"], last):
        assert page(cursor=cursor)["runs"] == expected


def test_conditions_are_kept_and_shown(demo_gateway: Gateway, shared_repository: Path) -> None:
    conditions = [{"label": "small", "instructions": "Change little."}, {"label": "large"}]
    run_id = demo_gateway.create(
        github_url=shared_repository.as_uri(), conditions=conditions, limits={"max_turns": 1}
    )
    run = demo_gateway.finish(run_id)
    assert [v["condition"]["label"] for v in run["variations"]] == ["small", "large"]
    assert run["variations"][0]["condition"]["instructions"] == "Change little."
    assert {v["stop_reason"] for v in run["variations"]} == {"limit_turns"}
    assert run["limits"]["max_turns"] == 1


def test_a_large_patch_comes_back_to_the_byte(shared_repository: Path, tmp_path: Path) -> None:
    text = "".join(
        f"line {n} {hashlib.sha256(str(n).encode()).hexdigest()}\n" for n in range(20_000)
    )
    create = {"command": "create", "path": "big.txt", "file_text": text}
    player = Script({}, default=[[ToolUse("str_replace_based_edit_tool", create)], [Text("Done.")]])
    with (
        ScriptedModel(player) as model,
        serving(
            tmp_path / "data", "--backend", "local", "--allow-file", "--base-url", model.base_url,
            AIDEATOR_API_KEY="a-test-key",
        ) as gateway,
    ):  # fmt: skip
        run_id = gateway.create(github_url=shared_repository.as_uri(), variations=1)
        stream = "".join(event.data for event in gateway.stream(run_id))
        assert '"truncated": true' in stream
        assert len(stream) < len(text)
        patch = gateway.http.get(f"/runs/{run_id}/variations/1/patch").content
    assert patch.count(b"\n+line ") == 20_000
    assert all(f"+{line}\n".encode() in patch for line in text.splitlines()[::997])


def test_metrics_count_what_happened(demo_gateway: Gateway, finished: str) -> None:
    text = demo_gateway.http.get("/metrics").text
    assert finished
    assert 'aideator_runs_ended_total{status="completed"}' in text
    assert 'aideator_variations_ended_total{reason="end_turn",status="completed"}' in text
