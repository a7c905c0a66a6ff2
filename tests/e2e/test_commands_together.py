"""Several commands at once on one data directory, each at a terminal of its own."""

import json
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from aideator_gateway.command.cli.connect import _serving_with
from aideator_gateway.scripted_model.script import Hang, Reply, Text, TokenCounts, ToolUse, Wait
from aideator_gateway.scripted_model.server import Player, Request, Script, ScriptedModel
from aideator_gateway.settings import Settings
from tests.support.command import SECONDS, Terminal, run, terminal
from tests.support.forked import serving
from tests.support.gateways import Gateway
from tests.support.stage import Stage

CTRL_C = "\x03"


def status_of(data: Path, prompt: str) -> str:
    """Return how a run stands by what is in the database."""
    with closing(sqlite3.connect(f"file:{data}/aideator.db?mode=ro", uri=True)) as database:
        (found,) = database.execute("SELECT status FROM run WHERE prompt = ?", (prompt,))
    return str(found[0])


def runs(data: Path, cwd: Path) -> dict[str, dict[str, object]]:
    """Return all runs by their prompts, from a command of its own."""
    found = json.loads(run("list", "--json", "--data-dir", str(data), cwd=cwd).stdout)
    return {one["prompt"]: one for one in found}


@contextmanager
def demo(repository: Path, data: Path, prompt: str, tokens_per_second: float) -> Iterator[Terminal]:
    with terminal(
        "run", str(repository), prompt, "-n", "1", "--demo", "--backend", "local",
        "--demo-tokens-per-second", str(tokens_per_second), "--data-dir", str(data),
        cwd=data.parent,
    ) as shown:  # fmt: skip
        yield shown


class Until(Player):
    """An agent that is at work until it is told that it is done."""

    def __init__(self) -> None:
        self.done = threading.Event()

    def reply(self, request: Request) -> Reply:
        """Look around once more, or be done."""
        del request
        if self.done.is_set():
            return [Text("Done.")]
        listing = ToolUse("list_files", {"path": "docs"})
        return [TokenCounts(1, 1), Text("Working.\n"), Wait(0.5), listing]


def choose(shown: Terminal) -> int:
    shown.read_until("Look or choose")
    shown.type("c 1\r")
    shown.read_until("Why variation 1?")
    shown.type("\r")
    shown.read_until("Winner: variation 1, recorded")
    return shown.finish()


def cancel(shown: Terminal) -> int:
    shown.type(CTRL_C)
    return shown.finish()


def kill(shown: Terminal) -> int:
    shown.process.send_signal(signal.SIGKILL)
    return shown.process.wait(SECONDS)


def test_a_command_goes_on_when_others_end(repository: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    work = Until()
    with (
        ScriptedModel(work) as model,
        terminal(
            "run", str(repository), "goes on", "-n", "1", "--backend", "local", "--base-url",
            model.base_url, "--max-turns", "500", "--data-dir", str(data), cwd=tmp_path,
            ANTHROPIC_API_KEY="key",
        ) as second,
    ):  # fmt: skip
        second.read_until("Working.")
        for end, pace, code, status in (
            (choose, 1000, 0, "completed"),
            (cancel, 2, 130, "cancelled"),
            (kill, 2, -signal.SIGKILL, "running"),
        ):
            with demo(repository, data, end.__name__, pace) as first:
                first.read_until("[1] ")
                assert end(first) == code
            assert status_of(data, end.__name__) == status
            # It is at work as before: its agent asks the model, and it shows what that says.
            answers, deadline = len(model.requests), time.monotonic() + SECONDS
            while second.output.count(b"Working.") <= answers:
                assert time.monotonic() < deadline
                assert second.read()
            assert status_of(data, "goes on") == "running"
        work.done.set()
        assert choose(second) == 0
    found = runs(data, tmp_path)
    assert {prompt: one["status"] for prompt, one in found.items()} == {
        "goes on": "completed", "choose": "completed", "cancel": "cancelled",
        "kill": "interrupted",
    }  # fmt: skip
    assert found["goes on"]["winning_variation_id"] == 1
    assert sorted(entry.name for entry in data.iterdir()) == ["aideator.db", "commits", "gateways"]
    assert [entry.name for entry in (data / "gateways").iterdir()] == ["recovery.lock"]
    # All worked on one commit, and nothing that was being made of it is left.
    assert len(list(data.glob("commits/*/*/repo"))) == 1
    assert list(data.glob("commits/.making")) == []


def test_each_command_talks_to_the_model_that_it_was_told_and_a_third_one_sees_both(
    repository: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    with (
        ScriptedModel(Script({}, default=[[Text("From the second's own server.")]])) as model,
        demo(repository, data, "the first", 2) as first,
    ):
        first.read_until("[1] ")
        done = run(
            "run", str(repository), "the second", "-n", "1", "--backend", "local", "--json",
            "--data-dir", str(data), cwd=tmp_path, ANTHROPIC_BASE_URL=model.base_url,
            ANTHROPIC_API_KEY="key",
        )  # fmt: skip
        ended = json.loads(done.stdout.splitlines()[-1])
        assert (ended["status"], ended["scripted"]) == ("completed", False)
        assert len(model.requests) == 1
        assert status_of(data, "the first") == "running"
        found = runs(data, tmp_path)
        assert (found["the first"]["status"], found["the first"]["scripted"]) == ("running", True)
        assert found["the second"]["status"] == "completed"
        run_id = str(found["the first"]["run_id"])
        shown = run("show", run_id, "--data-dir", str(data), cwd=tmp_path).stdout.decode()
        assert "running" in shown
        done = run("cancel", run_id, "--data-dir", str(data), cwd=tmp_path)
        assert done.stdout.decode() == f"{run_id} is cancelled.\n"
        assert first.finish() == 1
    assert status_of(data, "the first") == "cancelled"


@pytest.fixture(scope="module")
def served_demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    data = tmp_path_factory.mktemp("demo") / "data"
    with serving(data, "--demo", "--backend", "local", "--allow-file") as gateway:
        yield gateway


def test_a_serving_gateway_carries_out_what_fits_it_and_nothing_else(
    repository: Path,
    tmp_path: Path,
    stage: Stage,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stage.play(default=[[Text("Theirs.")]])
    words = ("run", str(repository), "x", "-n", "1", "--json", *stage.data_dir)
    theirs, ours = stage.model.base_url, "http://127.0.0.1:9"
    # What the command was told by flags, by variables, and what of it is not followed.
    cases: list[tuple[dict[str, str | bool], str, str, str | None]] = [
        ({}, "", "", None),
        ({"base_url": theirs}, "", "key", None),
        ({"max_run_cost_usd": "2"}, "", "", None),
        ({"demo": True, "demo_tokens_per_second": "1000"}, "", "", "--demo"),
        ({"base_url": ours}, "", "key", "--base-url"),
        ({}, ours, "key", "ANTHROPIC_BASE_URL"),
        ({"base_url": ours, "editor_tool": "plain"}, "", "key", "--editor-tool, --base-url"),
    ]
    for flags, url, key, other in cases:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", url)
        monkeypatch.setenv("ANTHROPIC_API_KEY", key)
        all_flags = {**flags, "data_dir": stage.gateway.data_dir, "allow_file": True}
        address = _serving_with(Settings.load(all_flags), all_flags)
        said = capsys.readouterr().err
        if other is None:
            assert address is not None and address.url == stage.gateway.url, flags
            assert said == ""
        else:
            assert address is None, flags
            assert f"was started with other settings ({other}), so this run has a" in said
    # And so it is carried out, here and there.
    for more, asked in (
        (("--base-url", theirs, "--max-run-cost-usd", "2"), 1),
        (("--demo", "--demo-tokens-per-second", "1000"), 0),
    ):
        before = len(stage.model.requests)
        done = run(*words, *more, cwd=tmp_path, ANTHROPIC_API_KEY="key")
        ended = json.loads(done.stdout.splitlines()[-1])
        assert ended["status"] == "completed"
        assert ended["scripted"] == (not asked)
        assert len(stage.model.requests) - before == asked
        assert (b"of its own" in done.stderr) == (not asked)


def test_a_demo_that_is_served_is_not_taken_for_a_model(
    repository: Path, tmp_path: Path, served_demo: Gateway
) -> None:
    done = run(
        "run", str(repository), "not taken", "-n", "1", "--backend", "local",
        "--data-dir", str(served_demo.data_dir), cwd=tmp_path, expect=1,
    )  # fmt: skip
    assert b"was started with other settings (--demo), so this run has a" in done.stderr
    assert b"missing_api_key" in done.stderr
    (found,) = served_demo.http.get("/runs?search=not taken").json()["runs"]
    assert (found["scripted"], found["code"]) == (False, "missing_api_key")


def test_a_serving_gateway_ends_the_run_of_a_command_that_was_killed(
    repository: Path, tmp_path: Path, served_demo: Gateway
) -> None:
    """It has been there all the time, so nobody starts who could do it."""
    gateway = served_demo
    with (
        ScriptedModel(Script({}, default=[[Text("Working.\n"), Hang()]])) as model,
        terminal(
            "run", str(repository), "is killed", "-n", "1", "--backend", "local", "--base-url",
            model.base_url, "--data-dir", str(gateway.data_dir), cwd=tmp_path,
            ANTHROPIC_API_KEY="key",
        ) as first,
    ):  # fmt: skip
        first.read_until("Working.")
        (found,) = gateway.http.get("/runs?search=is killed").json()["runs"]
        stream = gateway.stream(found["run_id"])
        assert next(stream).event == "message"
        kill(first)
        assert [event.event for event in stream][-2:] == ["error", "end"]
        assert gateway.run(found["run_id"])["status"] == "interrupted"
        deadline = time.monotonic() + SECONDS
        while list((gateway.data_dir / "work").glob("*")):
            assert time.monotonic() < deadline
            time.sleep(0.1)
