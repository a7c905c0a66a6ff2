"""An hour of runs, one after another, leaves a gateway as large as it was."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import pytest

from aideator_gateway.scripted_model.player import Request
from aideator_gateway.scripted_model.script import Reply, Text, ToolUse
from aideator_gateway.scripted_model.server import ScriptedModel
from tests.support.figures import metric, open_file_count, own_mebibytes
from tests.support.gateways import Gateway, serving
from tests.support.processes import brokers_of, processes_of, wait_until_gone, wait_until_removed
from tests.support.readers import Reader

SECONDS = 3600.0
PAUSE = 3.0
"""Between two runs, for the machine's other users."""

KEPT_BYTES = 8_000_000
GROWN_MEBIBYTES = 8.0
"""Most that memory may grow by from the second quarter of the hour to the last."""


class Writer:
    """A model that writes a file and says so, as often as it is asked."""

    def __init__(self) -> None:
        self._made = 0

    def reply(self, request: Request) -> Reply:
        """Return a file that no other attempt has made, or words about it."""
        if len(request.messages) > 1:
            return [Text("word " * 2000)]
        self._made += 1
        edit = {"command": "create", "path": "made.txt", "file_text": f"{self._made}\n" * 500}
        return [Text("word " * 200), ToolUse("str_replace_based_edit_tool", edit)]


@dataclass(frozen=True)
class Size:
    """What the gateway and its broker take."""

    gateway: float
    broker: float
    files: int
    broker_files: int
    threads: int
    disk: int

    @classmethod
    def of(cls, gateway: Gateway) -> "Size":
        """Look at them while nothing runs."""
        process = gateway.process.pid
        (broker,) = brokers_of(process)
        held = (path for path in gateway.data_dir.rglob("*") if path.is_file())
        return cls(
            own_mebibytes(process),
            own_mebibytes(broker),
            open_file_count(process),
            open_file_count(broker),
            sum(1 for _ in Path(f"/proc/{process}/task").iterdir()),
            sum(path.stat().st_size for path in held),
        )


@contextmanager
def writing(data_dir: Path) -> Iterator[Gateway]:
    """Serve with that model, and keep only the newest runs."""
    flags = ("--backend", "local", "--allow-file", "--keep-bytes", str(KEPT_BYTES))
    with (
        ScriptedModel(Writer()) as model,
        serving(data_dir, *flags, "--base-url", model.base_url, AIDEATOR_API_KEY="key") as gateway,
    ):
        yield gateway


def attempt(gateway: Gateway, repository: Path) -> None:
    """Have a run of two, read it live and again, look at its patches, and record a winner."""
    run_id = gateway.create(github_url=repository.as_uri(), variations=2)
    with Reader(gateway, run_id) as live:
        live.wait_ended()
    with Reader(gateway, run_id) as again:
        again.wait_ended()
    assert again.events == live.events
    run = gateway.run(run_id)
    assert run["status"] == "completed", run["variations"]
    for number in (1, 2):
        patch = gateway.http.get(f"/runs/{run_id}/variations/{number}/patch")
        assert b"made.txt" in patch.content
    chosen = gateway.http.post(f"/runs/{run_id}/select", json={"winning_variation_id": 1})
    assert chosen.status_code == 200, chosen.text


@pytest.mark.soak
@pytest.mark.timeout(2 * SECONDS)
def test_memory_descriptors_and_disk_stay_flat(shared_repository: Path, tmp_path: Path) -> None:
    with writing(tmp_path / "data") as gateway:
        sizes: list[Size] = []
        began = time.monotonic()
        while time.monotonic() - began < SECONDS:
            attempt(gateway, shared_repository)
            time.sleep(PAUSE)
            assert wait_until_gone(gateway.data_dir, 30) == []
            assert wait_until_removed(gateway.data_dir) == []
            sizes.append(Size.of(gateway))
        quarter = len(sizes) // 4
        early, late = sizes[quarter : 2 * quarter], sizes[-quarter:]
        print(f"{len(sizes)} runs", *sizes[:: max(1, quarter // 3)], sep="\n")  # noqa: T201 - figures
        assert metric(gateway, "aideator_runs_pruned_total") > 0
        assert processes_of(gateway.data_dir) == []
    for what in ("gateway", "broker"):
        grown = median(getattr(one, what) for one in late) - median(
            getattr(one, what) for one in early
        )
        assert grown < GROWN_MEBIBYTES, what
    for what in ("files", "broker_files", "threads"):
        assert max(getattr(one, what) for one in late) <= max(
            getattr(one, what) for one in early
        ), what
    assert max(one.disk for one in late) < 1.1 * max(one.disk for one in early)
