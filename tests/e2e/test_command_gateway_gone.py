"""A gateway that stops, dies, or comes back while the command follows a run."""

import json
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import click
import pytest

from aideator.protocol import Condition, Limits, Status
from aideator_gateway.command.cli.follow import Follower
from aideator_gateway.command.client import Client
from aideator_gateway.command.datadir import Address
from aideator_gateway.runs.model import NewRun, Run, Variation
from aideator_gateway.scripted_model.script import Hang, Reply, Text
from aideator_gateway.scripted_model.server import Script, ScriptedModel
from tests.support.command import terminal
from tests.support.forked import serving
from tests.support.gateways import COMMAND, environment

RUN = "run_0123456789abcdef"
WORDS = [f"word{number} " for number in range(60)]
FRAME = "id: {}\nevent: {}\ndata: {}\n\n"
DONE = FRAME.format(
    1, "completion",
    json.dumps({
        "variation_id": 1, "status": "completed", "turns": 1, "seconds": 1.0, "usage": {},
        "attempt": 1, "time": 1.0, "stop_reason": "end_turn", "summary": "",
    }),
)  # fmt: skip
WORKS = FRAME.format(
    2, "message",
    json.dumps({
        "variation_id": 2, "type": "agent_output", "content": "x", "attempt": 1, "time": 1.0,
    }),
)  # fmt: skip
END = FRAME.format(3, "end", '{"status": "interrupted"}')


@contextmanager
def twin(stream: str) -> Iterator[str]:
    """Serve one run whose stream is ``stream``, and after that nothing any more."""
    over = threading.Event()
    found = Run(
        run_id=RUN, status=Status.RUNNING, github_url="https://github.com/u/r", ref=None,
        prompt="x", model="m", scripted=False, limits=Limits(),
        created_at="2026-01-01T00:00:00Z",
        variations=[
            Variation(variation_id=number, status=Status.PENDING, condition=Condition())
            for number in (1, 2)
        ],
    )  # fmt: skip

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self._answer(json.dumps({"run_id": RUN, "stream_url": f"/runs/{RUN}/stream"}))

        def do_GET(self) -> None:
            if over.is_set():
                self.close_connection = True  # without an answer
            elif self.path.endswith("/stream"):
                over.set()
                self._answer(stream, "text/event-stream")
                self.close_connection = True
            else:
                self._answer(found.model_dump_json())

        def _answer(self, body: str, kind: str = "application/json") -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def followed(stream: str) -> str:
    """Follow a run of a gateway that goes after ``stream``, and return the error."""
    with (
        twin(stream) as url,
        Client(Address(url, None), patience=0.5) as client,
        pytest.raises(click.ClickException) as caught,
    ):
        Follower(client, None, lambda *_: None).follow(
            NewRun(github_url="https://github.com/u/r", prompt="x", variations=2)
        )
    assert caught.value.exit_code == 1
    return caught.value.message


def test_a_gateway_that_was_stopped_is_told_in_plain_words(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert followed(DONE + WORKS + END) == (
        f"The gateway was stopped, and {RUN} was interrupted by that: "
        f"aideator show {RUN} has what there was."
    )
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {
        "event": "end", "status": "interrupted",
    }  # fmt: skip


def test_a_gateway_that_stays_away_leaves_what_is_known_and_what_to_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert followed(DONE + WORKS) == (
        f"The gateway has gone, and how {RUN} ended is not known. When last heard of, "
        "variation 1 was completed and variation 2 was running. "
        f"Start the gateway again, then aideator show {RUN} tells."
    )
    assert "does not answer (" in capsys.readouterr().err


@pytest.fixture
def speaking() -> Iterator[str]:
    """A model that says something, and then goes on without a word."""
    turn: Reply = [Text(WORDS, pace=0.02), Hang()]
    with ScriptedModel(Script({}, default=[turn])) as model:
        yield model.base_url


def flags(model: str) -> tuple[str, ...]:
    return ("--backend", "local", "--allow-file", "--base-url", model)


@contextmanager
def following(repository: Path, data: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the command until it has heard of the first words."""
    with subprocess.Popen(
        [COMMAND, "run", str(repository), "x", "-n", "1", "--json", "--data-dir", str(data)],
        cwd=data.parent, env=environment(), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        bufsize=0,  # what waits in a buffer of ours, communicate() does not see
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


def lines_until(process: subprocess.Popen[bytes], wanted: Callable[[bytes], bool]) -> list[bytes]:
    """Read what the command says up to a line."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if wanted(line):
            return lines
    raise AssertionError(lines)


def test_a_gateway_that_was_killed_and_comes_back_goes_on_where_it_was(
    repository: Path, tmp_path: Path, speaking: str
) -> None:
    data = tmp_path / "data"
    with serving(data, *flags(speaking), AIDEATOR_API_KEY="key") as gateway:
        with following(repository, data) as process:
            lines = lines_until(process, lambda line: b"word30" in line)
            gateway.stop(signal.SIGKILL)
            port = str(urlsplit(gateway.url).port)
            with serving(data, *flags(speaking), "--port", port, AIDEATOR_API_KEY="key") as again:
                rest, said = process.communicate(timeout=60)
                events = [json.loads(line) for line in [*lines, *rest.splitlines()]]
                run_id = events[-1]["run_id"]
                sent = [json.loads(event.data) for event in again.stream(run_id)]
        assert process.returncode == 1
        assert [event["event"] for event in events[-3:]] == ["error", "end", "run"]
        # To the event what a client gets that was there from the first to the last.
        assert [{k: v for k, v in event.items() if k != "event"} for event in events[:-1]] == sent
        assert "".join(e.get("content") or "" for e in sent if e.get("type") == "agent_output")
        assert f"The gateway was stopped, and {run_id} was interrupted by that" in said.decode()
        assert b"Traceback" not in said


@pytest.mark.parametrize("silent", [False, True])
def test_ctrl_c_leaves_at_once_while_the_gateway_is_away(
    repository: Path, tmp_path: Path, speaking: str, silent: bool
) -> None:
    """Also where something listens in its place, and does not say a word."""
    data = tmp_path / "data"
    with (
        ExitStack() as stack,
        serving(data, *flags(speaking), AIDEATOR_API_KEY="key") as gateway,
        terminal(
            "run", str(repository), "x", "-n", "2", "--data-dir", str(data), cwd=tmp_path, width=200
        ) as shown,
    ):  # fmt: skip
        shown.read_until("word30")
        gateway.stop(signal.SIGKILL)
        shown.read_until("does not answer")
        if silent:
            address = urlsplit(gateway.url)
            place = stack.enter_context(socket.create_server((address.hostname, address.port)))
            place.settimeout(30)
            stack.enter_context(place.accept()[0])
        started = time.monotonic()
        shown.type("\x03")
        assert shown.finish(30) == 130
        assert time.monotonic() - started < 5.0
    # A terminal shows ^C at once, also in the midst of a character.
    out = shown.output.decode(errors="replace")
    assert "could not be cancelled. When last heard of, variations 1 and 2 were running." in out
    assert "aideator show run_" in out
    # It stands above the live view, which is drawn anew below it, and not in the midst of it.
    assert "\x1b[2KThe gateway does not answer" in out
    # The last that is seen of them does not say that they still run.
    assert out.count("running when last heard of") >= 2
    assert "Traceback" not in out


def test_a_gateway_that_is_told_to_stop_ends_the_command_too(
    repository: Path, tmp_path: Path, speaking: str
) -> None:
    data = tmp_path / "data"
    with (
        serving(data, *flags(speaking), AIDEATOR_API_KEY="key") as gateway,
        following(repository, data) as process,
    ):
        lines_until(process, lambda line: b"word30" in line)
        gateway.stop(signal.SIGTERM)
        _, said = process.communicate(timeout=90)
    assert process.returncode == 1
    assert b"Error: The gateway " in said
    assert b"aideator show run_" in said
    assert b"Traceback" not in said
