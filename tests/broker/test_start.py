"""How a broker starts and ends, and what it says when it cannot start."""

import io
import json
import os
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from aideator.broker.__main__ import main
from aideator_gateway.scripted_model.script import Text
from aideator_gateway.scripted_model.server import Script, ScriptedModel
from tests.support.brokers import (
    KEY,
    SIGNING_SECRET,
    broker_for,
    command,
    configuration,
    request,
    token,
)

Refusal = Callable[..., str]


@pytest.fixture
def refusal(capsys: pytest.CaptureFixture[str]) -> Refusal:
    """Return a function that starts a broker that cannot start, and returns what it says."""

    def start(given: bytes, *flags: str) -> str:
        assert main(flags, io.BytesIO(given)) == 2
        captured = capsys.readouterr()
        assert (captured.out, captured.err.count("\n")) == ("", 1)
        return captured.err

    return start


def test_it_listens_before_it_imports_the_sdk_and_requests_wait_for_that(tmp_path: Path) -> None:
    # An SDK that takes its time, in front of the real one.
    slow = "import time, sys; time.sleep(3); del sys.modules[__name__]; sys.path.pop(0)"
    (tmp_path / "slow").mkdir()
    (tmp_path / "slow/anthropic.py").write_text(slow + "; import anthropic\n")
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'slow')!r})\n"
        "sys.argv[1:] = ['--port', '0']\n"
        "from aideator.broker.__main__ import main; sys.exit(main())"
    )
    with (
        ScriptedModel(Script(default=[[Text("Done.")]])) as model,
        subprocess.Popen(
            [*command()[:2], "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process,
    ):
        assert process.stdin and process.stdout
        process.stdin.write(json.dumps(configuration(model.base_url)).encode() + b"\n")
        process.stdin.flush()
        url = f"http://127.0.0.1:{json.loads(process.stdout.readline())['port']}"
        ready = time.monotonic()
        with httpx.Client(base_url=url, trust_env=False, timeout=60) as http:
            assert http.get("/healthz").status_code == 200
            assert time.monotonic() - ready < 2.5
            headers = {"x-api-key": token()}
            answer = http.post("/v1/messages", json=request(), headers=headers)
            assert answer.status_code == 200
            assert time.monotonic() - ready > 2.5
        process.kill()


def test_it_serves_on_a_unix_socket_for_its_user_alone(tmp_path: Path) -> None:
    with (
        ScriptedModel(Script(default=[[Text("Done.")]])) as model,
        broker_for(tmp_path, configuration(model.base_url)) as broker,
    ):
        path = Path(broker.ready["socket"])
        assert path == tmp_path / "broker.sock"
        assert path.stat().st_mode & 0o777 == 0o600
        transport = httpx.HTTPTransport(uds=str(path))
        with httpx.Client(base_url="http://broker", transport=transport, timeout=60) as http:
            assert http.post("/v1/messages", **broker.sent(token())).status_code == 200
        broker.say(stop=True)
        assert broker.process.wait(30) == 0
        assert not path.exists()


def test_the_socket_of_a_broker_that_died_is_taken_over_and_a_living_ones_is_not(
    tmp_path: Path, refusal: Refusal
) -> None:
    config = configuration("http://127.0.0.1:1")
    with broker_for(tmp_path, config) as broker:
        says = refusal(json.dumps(config).encode(), "--socket", broker.ready["socket"])
        assert "another program listens there" in says
        assert broker.http.get("/healthz").status_code == 200
    assert (tmp_path / "broker.sock").exists()
    with broker_for(tmp_path, config) as broker:
        assert broker.http.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ((), "--socket PATH, --port PORT or --fd N"),
        (("--socket", "x" * 120), "use one under 100"),
        (("--socket", "/no/such/directory/s"), "No such file or directory"),
        (("--socket", "file"), "there is a file that is no socket"),
        (("--port", "99999"), "There is no port 99999"),
        (("--host", "192.0.2.1", "--port", "0"), "Cannot listen on 192.0.2.1, port 0"),
        (("--port", "0", "--config", "missing.json"), "missing.json"),
    ],
)
def test_where_it_cannot_listen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusal: Refusal,
    flags: tuple[str, ...], says: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    assert says in refusal(json.dumps(configuration("http://127.0.0.1:1")).encode(), *flags)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"providers": {}}, "providers: "),
        ({"default_provider": "other"}, "there is only main"),
        ({"signing_secret": {"value": ""}}, "signing secret: the configuration holds no key"),
        ({"signing_secret": {"env": "AIDEATOR_TEST_NO"}}, "variable AIDEATOR_TEST_NO holds no key"),
        ({"signing_secret": {"file": "/no/such"}}, "/no/such cannot be read"),
        ({"signing_secret": {}}, "exactly one of value, env and file"),
        ({"provider": {"base_url": "ftp://x"}}, "base_url: use the form"),
        ({"provider": {"auth_token": {"value": KEY}}}, "api_key or auth_token, not both"),
        ({"provider": {"kind": "bedrock"}}, "needs a region"),
        ({"provider": {"api_key": f"{KEY}-as-text"}}, "providers.main.api_key"),
        ({"more": KEY}, "more: This field is not known; known are signing_secret"),
        ({"provider": {"key": KEY}}, "providers.main.key: This field is not known; known are kind"),
    ],
)
def test_a_configuration_that_is_not_valid(
    refusal: Refusal, changed: dict[str, Any], says: str
) -> None:
    given = json.dumps(configuration("http://127.0.0.1:1", **changed)).encode()
    answer = refusal(given, "--port", "0")
    assert says in answer
    assert KEY not in answer


def test_no_configuration_at_all(refusal: Refusal) -> None:
    for given in (b"", b"\n", b"hello\n", b"[" * 100_000):
        assert "configuration is not valid" in refusal(given, "--port", "0")


def test_a_process_that_cannot_start_ends_with_2() -> None:
    done = subprocess.run(command(), input=b"{}\n", capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (2, b"", 1)


def test_keys_come_from_files_and_the_environment_and_settings_from_neither(
    tmp_path: Path,
) -> None:
    (tmp_path / "secret").write_text(f"{SIGNING_SECRET}\n")
    with ScriptedModel(Script(default=[[Text("Done.")]])) as model:
        config = configuration(
            model.base_url,
            signing_secret={"file": str(tmp_path / "secret")},
            provider={"api_key": {"env": "ANTHROPIC_API_KEY"}},
        )
        (tmp_path / "config.json").write_text(json.dumps(config))
        settings = {
            "ANTHROPIC_API_KEY": KEY,
            "ANTHROPIC_BASE_URL": "http://127.0.0.1:1",
            "ANTHROPIC_AUTH_TOKEN": "other",
            "ANTHROPIC_CUSTOM_HEADERS": "x-evil: 1",
        }
        argv = command("--port", "0", "--config", tmp_path / "config.json")
        with subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env={**os.environ, **settings}
        ) as process:
            assert process.stdout
            port = json.loads(process.stdout.readline())["port"]
            url = f"http://127.0.0.1:{port}/v1/messages"
            answer = httpx.post(
                url, json=request(), headers={"x-api-key": token()}, trust_env=False, timeout=60
            )
            process.terminate()
        assert process.returncode == 0 or process.returncode < 0
        assert answer.status_code == 200
        sent = model.requests[0].headers
        assert sent["authorization"] == f"Bearer {KEY}"
        assert "x-evil" not in sent


def test_the_ready_line_says_which_provider_cannot_be_asked_and_why(tmp_path: Path) -> None:
    config = configuration("http://127.0.0.1:1")
    config["providers"] |= {
        "hosted": {},
        "spaced": {"api_key": {"value": f" {KEY}"}},
        "local": {"base_url": "http://127.0.0.1:1"},
    }
    with broker_for(tmp_path, config) as broker:
        problems = broker.ready["providers"]
    assert problems["main"] is None
    assert problems["local"] is None
    assert "give api_key or auth_token" in problems["hosted"]
    assert "white space around it" in problems["spaced"]
    assert KEY not in json.dumps(problems)


def test_it_ends_with_who_started_it(tmp_path: Path) -> None:
    config = configuration("http://127.0.0.1:1")
    with broker_for(tmp_path, config, "--watch-stdin") as broker:
        broker.stdin.close()
        assert broker.process.wait(30) == 0


def test_a_stop_waits_neither_for_the_sdk_nor_for_a_stream(tmp_path: Path) -> None:
    with (
        ScriptedModel(Script(default=[[Text("word " * 600, pace=0.1)]])) as model,
        broker_for(tmp_path, configuration(model.base_url)) as broker,
        broker.http.stream("POST", "/v1/messages", **broker.sent(token())) as answer,
    ):
        next(answer.iter_bytes())
        began = time.monotonic()
        broker.say(stop=True)
        assert broker.process.wait(30) == 0
        assert time.monotonic() - began < 5


def test_messages_that_are_none_are_answered_and_do_no_harm(tmp_path: Path) -> None:
    with broker_for(tmp_path, configuration("http://127.0.0.1:1")) as broker:
        lines = (b"hello", b"[]", b'{"revoke": {"run": 1}}', b'{"more": 1}', b"\xff", b"")
        for line in lines:
            broker.stdin.write(line + b"\n")
        broker.stdin.flush()
        assert broker.line("error", len(lines))
        assert broker.refused() == {}


def test_it_survives_that_nobody_reads_what_it_says(tmp_path: Path) -> None:
    config = json.dumps(configuration("http://127.0.0.1:1")).encode() + b"\n"
    path = tmp_path / "s"
    process = subprocess.Popen(
        command("--socket", path), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert process.stdin and process.stdout
        process.stdin.write(config)
        process.stdin.flush()
        assert process.stdout.readline()
        process.stdout.close()
        process.stdin.write(b'{"report": true}\n' * 50_000)
        process.stdin.flush()
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(30)
            connection.connect(str(path))
            connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: b\r\n\r\n")
            assert connection.recv(1000).startswith(b"HTTP/1.1 200")
    finally:
        process.kill()
        process.wait()
        if process.stdin:
            process.stdin.close()


def test_it_takes_a_socket_that_listens_and_leaves_it_to_its_owner() -> None:
    with (
        ScriptedModel(Script(default=[[Text("Done.")]])) as model,
        socket.create_server(("127.0.0.1", 0)) as listener,
    ):
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1/messages"
        given = json.dumps(configuration(model.base_url)).encode() + b"\n"
        answers = []
        for variation in (1, 2):
            process = subprocess.Popen(
                command("--fd", str(listener.fileno())), pass_fds=[listener.fileno()],
                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            )  # fmt: skip
            try:
                assert process.stdin
                process.stdin.write(given)
                process.stdin.close()
                headers = {"x-api-key": token(variation=variation)}
                answers.append(httpx.post(url, json=request(), headers=headers, timeout=60))
            finally:
                process.kill()
                process.wait()
    # The second one answers at the same address, and nobody was refused between.
    assert [answer.status_code for answer in answers] == [200, 200]


def test_a_descriptor_that_is_no_socket_is_named(refusal: Refusal) -> None:
    config = json.dumps(configuration("http://127.0.0.1:1")).encode() + b"\n"
    assert "99 is no socket" in refusal(config, "--fd", "99")
