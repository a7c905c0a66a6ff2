"""The disk is full in the middle of a run, and then there is room again."""

import time
from pathlib import Path

import pytest

from aideator_gateway.scripted_model.script import Text
from tests.support.command import error_of
from tests.support.disks import small_disk
from tests.support.readers import Reader
from tests.support.talking import ready, talking_gateway, wait


@pytest.mark.soak
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seconds", [0, 75])
def test_the_run_ends_and_the_next_one_works(
    shared_repository: Path, tmp_path: Path, seconds: float
) -> None:
    """Full for a moment, and for longer than writes are repeated that end nothing."""
    long, short = [Text("word " * 300, pace=0.05)], [Text("Done.")]
    replies = [long, short, short]
    with (
        small_disk(tmp_path / "disk", 24) as disk,
        talking_gateway(
            disk.path / "data", replies=replies, AIDEATOR_MIN_FREE_BYTES="0"
        ) as gateway,
    ):
        run_id = gateway.create(github_url=shared_repository.as_uri(), variations=2)
        with Reader(gateway, run_id) as reader:
            reader.wait_for(50)
            with disk.full():
                wait(lambda: not ready(gateway))
                assert "No space" in gateway.http.get("/readyz").json()["reason"]
                refused = gateway.http.post(
                    "/runs", json={"github_url": shared_repository.as_uri(), "prompt": "x"}
                )
                assert (refused.status_code, refused.json()["code"]) == (503, "storage_unavailable")
                time.sleep(seconds)
        run = gateway.run(run_id)
        # Agents have nowhere to write to either; who needed to, says so.
        assert {v["code"] for v in run["variations"]} <= {"disk_full", None}
        assert {v["status"] for v in run["variations"]} <= {"failed", "completed"}
        assert reader.events[-1][1] == "end"
        assert [e.id for e in gateway.stream(run_id)] == [id_ for id_, _, _ in reader.events]
        assert ready(gateway)
        later = gateway.create(github_url=shared_repository.as_uri(), variations=2)
        assert gateway.finish(later)["status"] == "completed"


@pytest.mark.parametrize("words", [("list",), ("serve", "--demo", "--port", "0")])
def test_without_room_to_start_it_is_one_line_and_nothing_is_left(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    with small_disk(tmp_path / "disk", 1) as disk, disk.full():
        said = error_of(*words, "--data-dir", str(disk.path / "data"), cwd=tmp_path)
        assert "cannot be used (No space left on device)" in said
        assert list((disk.path / "data" / "gateways").iterdir()) == []
