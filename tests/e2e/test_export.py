"""Preference data, from attempts that were made to files that trainers read."""

import json
import secrets
import shutil
from pathlib import Path
from typing import Any

import pytest

from aideator_gateway.scripted_model.server import ScriptedModel
from tests.support.forked import error_of, run, serving
from tests.support.known_quality import KnownQuality
from tests.support.labs import Lab


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, shared_repository: Path) -> Lab:
    """Return an experiment that was carried out, judged, and one run of which has a winner."""
    with ScriptedModel(KnownQuality(), record=False) as model:
        lab = Lab(tmp_path_factory.mktemp("lab"), shared_repository, model)
        lab.write(qualities=(100, 0), repeats=2)
        lab.run()
    with serving(lab.data, "--backend", "local") as gateway:
        for verdict in ("left", "right", "tie", "skip"):
            now = gateway.http.get("/experiments/known/judging", params={"judge": "Ada"}).json()
            said = {
                "id": secrets.token_hex(8), "verdict": verdict, "judge": "Ada",
                **{s: {k: now["pair"][s][k] for k in ("run_id", "variation_id")}
                   for s in ("left", "right")},
            }  # fmt: skip
            for status in (201, 200):
                answer = gateway.http.post("/experiments/known/judgments", json=said)
                assert answer.status_code == status
        run_id = gateway.http.get("/runs").json()["runs"][0]["run_id"]
        chosen = {"winning_variation_id": 2}
        assert gateway.http.post(f"/runs/{run_id}/select", json=chosen).status_code == 200
    return lab


def exported(lab: Lab, *words: str) -> tuple[list[dict[str, Any]], str]:
    done = run("export", "preferences", *words, "--data-dir", str(lab.data), cwd=lab.directory)
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr.decode()


def answer(messages: list[dict[str, Any]]) -> str:
    (call,) = messages[0]["tool_calls"]
    return str(call["function"]["arguments"]["file_text"])


def test_judgments_winners_and_checks_are_preferences(lab: Lab) -> None:
    records, said = exported(lab, "known", "--from-checks")
    assert "11 records: 8 from checks, 2 from judgments, 1 from selections." in said
    assert [r["metadata"]["source"] for r in records] == [
        *["judgment"] * 2, "selection", *["check"] * 8,
    ]  # fmt: skip
    for record in records:
        assert [m["role"] for m in record["prompt"]] == ["user"]
        assert [m["role"] for m in record["chosen"]] == ["assistant", "tool", "assistant"]
        assert record["chosen"][1]["tool_call_id"] == record["chosen"][0]["tool_calls"][0]["id"]
        assert record["chosen"][2] == {"role": "assistant", "content": "Done."}
        assert {answer(record["chosen"]), answer(record["rejected"])} == {"good\n", "bad\n"}
        assert record["tools"][0]["function"]["name"] == "list_files"
        facts = record["metadata"]
        assert facts["repository"] == lab.repository.as_uri()
        assert len(facts["commit"]) == 40
        assert facts["experiment"] == "known"
        assert facts["chosen"]["model"] == facts["rejected"]["model"]
    assert {answer(record["chosen"]) for record in records[3:]} == {"good\n"}
    assert {record["metadata"]["judge"] for record in records[:2]} == {"Ada"}


def test_a_run_alone_and_a_file_to_write(lab: Lab) -> None:
    with_winner = next(r for r in lab.runs() if r["winning_variation_id"])
    out = lab.directory / "pairs.jsonl"
    words = (with_winner["run_id"][:10], "--output", str(out))
    records, said = exported(lab, *words)
    assert records == []
    assert "1 record: 1 from selections." in said
    (record,) = map(json.loads, out.read_text().splitlines())
    assert record["metadata"]["chosen"]["variation"] == 2
    assert record["metadata"]["experiment"] is None
    assert list(lab.directory.glob("*.part")) == []
    # An experiment's file names it as well.
    both, _ = exported(lab, "experiment.toml", with_winner["run_id"], "--without-files")
    assert len(both) == 4
    assert "good" not in json.dumps([[r["chosen"], r["rejected"]] for r in both])
    assert both[0]["chosen"][1]["content"] == "[left out]"
    assert both[0]["chosen"][0]["tool_calls"][0]["function"]["arguments"] == {
        "command": "create", "path": "answer.txt", "file_text": "[left out]",
    }  # fmt: skip


def test_unpaired_records_say_which_attempts_passed(lab: Lab) -> None:
    records, said = exported(lab, "known", "--unpaired")
    assert "8 records: 8 from checks." in said
    assert sorted((r["label"], answer(r["completion"])) for r in records) == [
        *[(False, "bad\n")] * 4, *[(True, "good\n")] * 4,
    ]  # fmt: skip
    assert set(records[0]) == {"prompt", "completion", "label", "tools", "metadata"}
    assert {r["metadata"]["attempt"]["check"] for r in records} == {"passed", "failed"}


def test_runs_that_are_gone_are_left_out_and_counted(lab: Lab, tmp_path: Path) -> None:
    shutil.copytree(lab.data, tmp_path / "data")
    words = ("--data-dir", str(tmp_path / "data"))
    with serving(tmp_path / "data", "--backend", "local") as gateway:
        first = gateway.http.get("/runs").json()["runs"][0]
        assert gateway.http.delete(f"/runs/{first['run_id']}").status_code == 204
    done = run("export", "preferences", "known", "--unpaired", *words, cwd=tmp_path)
    assert len(done.stdout.splitlines()) == 6
    assert b"Left out: 2 (the run is gone)." in done.stderr


def test_what_is_not_there_is_one_error(lab: Lab, tmp_path: Path) -> None:
    words = ("--data-dir", str(lab.data))
    error = error_of("export", "preferences", "nothing", *words, cwd=tmp_path)
    assert "No run's id starts with 'nothing'" in error
    other = tmp_path / "other.toml"
    other.write_text('name = "other"\n')
    error = error_of("export", "preferences", str(other), *words, cwd=tmp_path)
    assert "was never carried out here" in error
    out = str(tmp_path / "none" / "x.jsonl")
    error = error_of("export", "preferences", "known", "--output", out, *words, cwd=tmp_path)
    assert "cannot be written" in error
