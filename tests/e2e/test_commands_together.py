"""Several commands at once on one data directory, each at a terminal of its own."""

import json
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from aideator_gateway.scripted_model.script import Hang, Text
from aideator_gateway.scripted_model.server import Script, ScriptedModel
from tests.support.command import SECONDS, Terminal, run, terminal
from tests.support.gateways import serving

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


def answers(first: Terminal) -> int:
    first.read_until("Look or choose")
    first.type("c 1\r")
    first.read_until("Why variation 1?")
    first.type("\r")
    first.read_until("Winner: variation 1")
    return first.finish()


def is_cancelled(first: Terminal) -> int:
    first.type(CTRL_C)
    return first.finish()


def is_killed(first: Terminal) -> int:
    first.process.send_signal(signal.SIGKILL)
    return first.process.wait(SECONDS)


@pytest.mark.parametrize(
    ("ends", "pace", "code", "status"),
    [
        (answers, 1000, 0, "completed"),
        (is_cancelled, 2, 130, "cancelled"),
        (is_killed, 2, -signal.SIGKILL, "interrupted"),
    ],
)
def test_a_command_goes_on_when_another_one_ends(
    repository: Path,
    tmp_path: Path,
    ends: Callable[[Terminal], int],
    pace: float,
    code: int,
    status: str,
) -> None:
    data = tmp_path / "data"
    with (
        demo(repository, data, "the first", pace) as first,
        # The second is at work for seconds after the first has ended.
        demo(repository, data, "the second", 12) as second,
    ):
        first.read_until("[1] ")
        second.read_until("[1] ")
        assert ends(first) == code
        assert status_of(data, "the second") == "running"
        second.read_until("Look or choose")
        second.type("c 1\r")
        second.read_until("Why variation 1?")
        second.type("\r")
        second.read_until("Winner: variation 1, recorded")
        assert second.finish() == 0
    found = runs(data, tmp_path)
    assert found["the first"]["status"] == status
    assert found["the second"]["status"] == "completed"
    assert found["the second"]["winning_variation_id"] == 1
    assert sorted(entry.name for entry in data.iterdir()) == ["aideator.db", "commits", "gateways"]
    assert [entry.name for entry in (data / "gateways").iterdir()] == ["recovery.lock"]
    # Both worked on one commit, and nothing that was being made of it is left.
    assert len(list(data.glob("commits/*/*/repo"))) == 1
    assert list(data.glob("commits/.making")) == []


def test_each_command_talks_to_the_model_that_it_was_told(repository: Path, tmp_path: Path) -> None:
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
        first.type(CTRL_C)
        assert first.finish() == 130


def test_a_third_terminal_sees_and_cancels_the_run_of_the_first(
    repository: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    with demo(repository, data, "the first", 2) as first:
        first.read_until("[1] ")
        found = runs(data, tmp_path)["the first"]
        assert found["status"] == "running"
        shown = run("show", "latest", "--data-dir", str(data), cwd=tmp_path).stdout.decode()
        assert "running" in shown
        done = run("cancel", str(found["run_id"]), "--data-dir", str(data), cwd=tmp_path)
        assert done.stdout.decode() == f"{found['run_id']} is cancelled.\n"
        assert first.finish() == 1
    assert runs(data, tmp_path)["the first"]["status"] == "cancelled"


def test_a_serving_gateway_carries_out_what_fits_it_and_nothing_else(
    repository: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    words = ("run", str(repository), "x", "-n", "1", "--json", "--data-dir", str(data))
    with (
        ScriptedModel(Script({}, default=[[Text("Theirs.")]] * 3)) as theirs,
        ScriptedModel(Script({}, default=[[Text("Ours.")]] * 3)) as ours,
        serving(
            data, "--backend", "local", "--allow-file", "--base-url", theirs.base_url,
            ANTHROPIC_API_KEY="key",
        ),
    ):  # fmt: skip
        # What the command was told by flags, by variables, and what of it is not followed.
        cases: list[tuple[tuple[str, ...], str, str, str | None]] = [
            ((), "", "", None),
            (("--base-url", theirs.base_url), "", "key", None),
            (("--max-run-cost-usd", "2"), "", "", None),
            (("--demo", "--demo-tokens-per-second", "1000"), "", "", "--demo"),
            (("--base-url", ours.base_url), "", "key", "--base-url"),
            ((), ours.base_url, "key", "ANTHROPIC_BASE_URL"),
            (
                ("--base-url", ours.base_url, "--editor-tool", "plain"), "", "key",
                "--editor-tool, --base-url",
            ),
        ]  # fmt: skip
        for flags, url, key, other in cases:
            asked = len(theirs.requests)
            done = run(*words, *flags, cwd=tmp_path, ANTHROPIC_BASE_URL=url, ANTHROPIC_API_KEY=key)
            ended = json.loads(done.stdout.splitlines()[-1])
            assert ended["status"] == "completed"
            assert ended["scripted"] == ("--demo" in flags)
            assert len(theirs.requests) - asked == (other is None), flags
            said = done.stderr.decode()
            if other is None:
                assert "of its own" not in said
            else:
                assert f"was started with other settings ({other}), so this run has a" in said
        assert len(ours.requests) == 3


def test_a_demo_that_is_served_is_not_taken_for_a_model(repository: Path, tmp_path: Path) -> None:
    flags = ("--demo", "--backend", "local", "--allow-file")
    with serving(tmp_path / "data", *flags) as gateway:
        done = run(
            "run", str(repository), "x", "-n", "1", "--backend", "local",
            "--data-dir", str(gateway.data_dir), cwd=tmp_path, expect=1,
        )  # fmt: skip
        assert b"was started with other settings (--demo), so this run has a" in done.stderr
        assert b"missing_api_key" in done.stderr
        (found,) = gateway.http.get("/runs").json()["runs"]
        assert (found["scripted"], found["code"]) == (False, "missing_api_key")


def test_a_serving_gateway_ends_the_run_of_a_command_that_was_killed(
    repository: Path, tmp_path: Path
) -> None:
    """It has been there all the time, so nobody starts who could do it."""
    with (
        ScriptedModel(Script({}, default=[[Text("Working.\n"), Hang()]])) as model,
        serving(tmp_path / "data", "--demo", "--backend", "local") as gateway,
        terminal(
            "run", str(repository), "x", "-n", "1", "--backend", "local", "--base-url",
            model.base_url, "--data-dir", str(gateway.data_dir), cwd=tmp_path,
            ANTHROPIC_API_KEY="key",
        ) as first,
    ):  # fmt: skip
        first.read_until("Working.")
        (found,) = gateway.http.get("/runs").json()["runs"]
        stream = gateway.stream(found["run_id"])
        assert next(stream).event == "message"
        is_killed(first)
        assert [event.event for event in stream][-2:] == ["error", "end"]
        assert gateway.run(found["run_id"])["status"] == "interrupted"
        deadline = time.monotonic() + SECONDS
        while list((gateway.data_dir / "work").glob("*")):
            assert time.monotonic() < deadline
            time.sleep(0.1)
