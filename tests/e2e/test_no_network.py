"""A program that does as it likes in an agent's place: what it reaches, and with which token.

It is started as the agent would be, by a ``bwrap`` on PATH that exchanges the two.
"""

import json
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from aideator.protocol import DEFAULT_MODEL
from aideator_gateway.scripted_model.player import Request
from aideator_gateway.scripted_model.script import Reply, Text
from aideator_gateway.scripted_model.server import ScriptedModel
from tests.support.brokers import request
from tests.support.gateways import Gateway, serving
from tests.support.repositories import FILES, make_repository

BWRAP = shutil.which("bwrap") or "/usr/bin/bwrap"
KEY = "sk-ant-canary-0123456789-secret"

EXCHANGE = f"""#!/bin/sh
for word; do
    shift
    [ "$word" = -m ] && continue
    [ "$word" = aideator.agent ] && word=repo/hostile.py
    set -- "$@" "$word"
done
exec {BWRAP} "$@"
"""

HOSTILE = r"""
import base64, http.client, json, os, socket, sys, time

output = sys.argv[sys.argv.index("--output") + 1]
token = os.environ["ANTHROPIC_AUTH_TOKEN"]
told = json.load(open("repo/told.json"))
found = {"environment": sorted(os.environ), "interfaces": [n for _, n in socket.if_nameindex()]}


def attempt(name, work):
    try:
        found[name] = work()
    except Exception as error:
        found[name] = type(error).__name__


def connect(family, address, kind=socket.SOCK_STREAM):
    def work():
        with socket.socket(family, kind) as s:
            s.settimeout(3)
            s.connect(address)
            s.send(b"x")
            return "connected"
    return work


class Connection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(os.environ["AIDEATOR_MODEL_SOCKET"])


def ask(given=token, path="/v1/messages", method="POST", **headers):
    def work():
        connection = Connection("broker")
        said = [{"role": "user", "content": "Hi."}]
        body = {"model": told["model"], "max_tokens": 9, "messages": said, "stream": True}
        body.update(headers.pop("body", {}))
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {"authorization": "Bearer " + given, "content-type": "application/json", **names}
        connection.request(method, path, json.dumps(body), sent)
        answer = connection.getresponse()
        answer.read()
        return [answer.status, answer.headers.get("aideator-refused")]
    return work


def opened(start=b""):
    connection = Connection("broker")
    connection.connect()
    connection.sock.sendall(start)
    return connection


def many_at_once():
    head = f"POST /v1/messages HTTP/1.1\r\nhost: b\r\nauthorization: Bearer {token}\r\n"
    slow = [opened(f"{head}content-length: 50\r\n\r\n{{".encode()) for _ in range(4)]
    deadline = time.monotonic() + 10
    while (answer := ask()())[0] == 200 and time.monotonic() < deadline:
        found["before"] = found.get("before", 0) + 1
    for connection in slow:
        connection.close()
    return answer


def in_a_crowd():
    crowd = [opened() for _ in range(400)]
    answer = ask()()
    for connection in crowd:
        connection.close()
    return answer


def changed(**claims):
    head, body, sign = token.split(".")
    given = json.loads(base64.urlsafe_b64decode(body + "=="))
    given.update(claims)
    body = base64.urlsafe_b64encode(json.dumps(given).encode()).rstrip(b"=").decode()
    return ".".join([head, body, sign])


for number, (family, address) in enumerate(told["tcp"]):
    attempt(f"tcp {number}", connect(family, tuple(address)))
for number, (family, address) in enumerate(told["udp"]):
    attempt(f"udp {number}", connect(family, tuple(address), socket.SOCK_DGRAM))
attempt("abstract", connect(socket.AF_UNIX, "\0" + told["abstract"]))
attempt("unix", connect(socket.AF_UNIX, told["unix"]))
attempt("name", lambda: socket.getaddrinfo("example.com", 443) and "found")
attempt("raw", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW) and "opened")
attempt("raw inet", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1) and "opened")
attempt("netlink", lambda: os.system("ip link set lo up 2>/dev/null") and "failed")

for name, path in told["files"].items():
    attempt(name, lambda path=path: open(path, "rb").read() and "opened")
attempt("others", lambda: os.kill(told["gateway"], 0) or "found")

attempt("own", ask())
attempt("as a sibling", ask(x_aideator_variation="2", x_aideator_run="run_other"))
attempt("other host", ask(host="example.com", x_forwarded_host="example.com"))
attempt("other server", ask(
    x_aideator_provider="other", anthropic_base_url=told["server"], x_original_url=told["server"],
    forwarded="host=example.com", location=told["server"],
    body={"base_url": told["server"], "provider": "other", "api_key": "other"},
))
attempt("other key", ask(x_api_key="sk-ant-of-my-own"))
attempt("absolute", ask(path=f"http://127.0.0.1:{told['tcp'][0][1][1]}/v1/messages"))
attempt("other path", ask(path="/v1/files"))
attempt("upward path", ask(path="/v1/messages/../models"))
attempt("other method", ask(method="DELETE"))
attempt("other model", ask(body={"model": "claude-other"}))
attempt("other models", ask(body={"model": [told["model"], "claude-other"]}))
attempt("batch", ask(path="/v1/messages/batches"))
attempt("no token", ask(given=""))
attempt("sibling's token", ask(given=changed(variation=2)))
attempt("other run's token", ask(given=changed(run="run_other")))
attempt("longer token", ask(given=changed(exp=time.time() + 86_400)))
attempt("no signature", ask(given=token.rpartition(".")[0] + "."))
attempt("long body", ask(content_length=str(1 << 40)))
attempt("in a crowd", in_a_crowd)
attempt("many at once", many_at_once)

everything = b""
for process in filter(str.isdigit, os.listdir("/proc")):
    for name in ("environ", "cmdline"):
        try:
            everything += open(f"/proc/{process}/{name}", "rb").read()
        except OSError:
            pass
# Backwards, since it is not to be hidden.
found["token"] = token[::-1]
found["processes"] = len(list(filter(str.isdigit, os.listdir("/proc"))))
found["key"] = told["key"][::-1].encode() in everything

envelope = {
    "aideator": 1, "run": os.environ["AIDEATOR_RUN_ID"], "variation": 1, "time": time.time(),
}
usual = {"turn": 1, "try": 1, "type": "text", "text": json.dumps(found)}
print(json.dumps({**envelope, "seq": 1, **usual}))
end = {"type": "completed", "stop_reason": "end_turn"}
print(json.dumps({**envelope, "seq": 2, **end}), flush=True)
"""


class Always:
    """Answers every request alike, and keeps who asked."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    def reply(self, request: Request) -> Reply:
        self.requests.append(request)
        return [Text("Done.")]


class Listeners:
    """What somebody on this machine may listen on; each notes who calls."""

    def __init__(self, directory: Path) -> None:
        self.calls: list[str] = []
        self._sockets: list[socket.socket] = []
        local = _own_addresses()
        self.tcp = [self._tcp(socket.AF_INET, host) for host in ("127.0.0.1", *local)]
        self.tcp.append(self._tcp(socket.AF_INET6, "::1"))
        self.udp = [self._udp(host) for host in ("127.0.0.1", *local)]
        self.abstract = f"aideator-test-{directory.name}"
        self.unix = str(directory / "other.sock")
        for name in (f"\0{self.abstract}", self.unix):
            self._listen(socket.socket(socket.AF_UNIX), name)

    def _tcp(self, family: int, host: str) -> tuple[int, tuple[str, int]]:
        listener = socket.socket(family)
        self._listen(listener, (host, 0))
        return int(family), listener.getsockname()[:2]

    def _listen(self, listener: socket.socket, address: Any) -> None:
        listener.bind(address)
        listener.listen()
        self._watch(listener, lambda: str(listener.accept()))

    def _udp(self, host: str) -> tuple[int, tuple[str, int]]:
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        receiver.bind((host, 0))
        self._watch(receiver, lambda: str(receiver.recvfrom(10)))
        return int(socket.AF_INET), receiver.getsockname()

    def _watch(self, listener: socket.socket, called: Any) -> None:
        self._sockets.append(listener)

        def watch() -> None:
            try:
                while True:
                    self.calls.append(called())
            except OSError:
                return

        threading.Thread(target=watch, daemon=True).start()

    def close(self) -> None:
        for listener in self._sockets:
            listener.close()


def _own_addresses() -> list[str]:
    """Return this machine's own addresses beside loopback, if it has any."""
    done = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=False)
    return [word for word in done.stdout.split() if "." in word]


@contextmanager
def listeners(directory: Path) -> Iterator[Listeners]:
    found = Listeners(directory)
    try:
        yield found
    finally:
        found.close()


@pytest.fixture
def exchanged(tmp_path: Path) -> str:
    """Return a PATH on which bubblewrap starts the hostile program in an agent's place."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "bwrap").write_text(EXCHANGE)
    (programs / "bwrap").chmod(0o755)
    return f"{programs}:/usr/local/bin:/usr/bin:/bin"


def knock(gateway: Gateway, token: str) -> tuple[int, str | None]:
    """Ask with a token, and return status and cause of the answer."""
    (path,) = (gateway.data_dir / "gateways").glob("*.sock")
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), timeout=30) as http:
        headers = {"authorization": f"Bearer {token}"}
        answer = http.post("http://broker/v1/messages", headers=headers, json=request())
        return answer.status_code, answer.headers.get("aideator-refused")


def test_nothing_but_the_model_can_be_reached_and_only_as_oneself(
    tmp_path: Path, short: Path, exchanged: str
) -> None:
    model = Always()
    with listeners(tmp_path) as others, ScriptedModel(model) as server:
        told: dict[str, Any] = {
            "model": DEFAULT_MODEL,
            # Link-local addresses are where clouds keep the keys of their machines.
            "tcp": [*others.tcp, (socket.AF_INET, ("169.254.169.254", 80))],
            "udp": [*others.udp, (socket.AF_INET, ("169.254.169.254", 53))],
            "abstract": others.abstract,
            "unix": others.unix,
            # Not as it is: it is looked for in what the program can read.
            "key": KEY[::-1],
            "server": f"http://127.0.0.1:{others.tcp[0][1][1]}",
            "gateway": os.getpid(),
            "files": {
                "database": str(short / "data" / "aideator.db"),
                "log": str(short / "data.log"),
                "settings": f"/proc/{os.getpid()}/environ",
            },
        }
        files = {**FILES, "hostile.py": HOSTILE, "told.json": json.dumps(told)}
        repository = make_repository(tmp_path / "repository", files)
        with serving(
            short / "data", "--backend", "local", "--allow-file", "--base-url", server.base_url,
            ANTHROPIC_API_KEY=KEY, HTTP_PROXY="http://user:password@127.0.0.1:9", NO_PROXY="*",
            PATH=exchanged,
        ) as gateway:  # fmt: skip
            run_id = gateway.create(github_url=repository.as_uri(), variations=1)
            said = [json.loads(event.data) for event in gateway.stream(run_id)]
            assert gateway.run(run_id)["isolation"] == "bubblewrap"
            asked = len(model.requests)
            (text,) = [one["content"] for one in said if one.get("type") == "agent_output"]
            found = json.loads(text)
            # What got away with a token has nothing more of it.
            assert knock(gateway, found["token"][::-1]) == (403, "token_revoked")
            assert len(model.requests) == asked
            log = gateway.log.read_text()
    reached = {name: what for name, what in found.items() if what in ("connected", "opened")}
    # A loopback of its own takes a datagram for nobody; that nobody got it is what counts.
    assert reached.keys() <= {"udp 0"}
    assert others.calls == []
    assert found["interfaces"] == ["lo"]
    assert found["name"] == "gaierror"
    assert (found["raw"], found["raw inet"]) == ("PermissionError", "PermissionError")
    assert found["environment"] == [
        "AIDEATOR_ATTEMPT", "AIDEATOR_MODEL_SOCKET", "AIDEATOR_RUN_ID", "AIDEATOR_VARIATION_ID",
        "ANTHROPIC_AUTH_TOKEN", "HOME", "LC_ALL", "PATH", "PWD", "TMPDIR",
    ]  # fmt: skip
    assert found["key"] is False
    assert [found[name] for name in told["files"]] == ["FileNotFoundError"] * 3
    assert found["others"] == "ProcessLookupError"
    assert found["own"] == [200, None]
    # Whatever else it says of itself, the token says who it is.
    # And all that chooses a server and a key is the broker's.
    through = [found["as a sibling"], found["other host"], found["other server"]]
    assert through == [[200, None]] * 3
    # Nor does it help to leave hundreds of connections open.
    assert found["in a crowd"] == [200, None]
    assert {(request.run, request.variation) for request in model.requests} == {(run_id, 1)}
    assert {r.headers["authorization"] for r in model.requests} == {f"Bearer {KEY}"}
    assert not [r for r in model.requests if {"x-api-key", "anthropic-base-url"} & {*r.headers}]
    assert found["processes"] <= 3
    assert {name: found[name] for name in REFUSED} == REFUSED
    assert len(model.requests) == 5 + found.get("before", 0)
    assert "refused, token_invalid: no valid token" in log
    assert "ey" + "J" not in log


REFUSED = {
    "absolute": [404, "other_path"],
    "batch": [404, "other_path"],
    "other path": [404, "other_path"],
    "upward path": [404, "other_path"],
    "other method": [405, "other_method"],
    "other model": [403, "other_model"],
    "other models": [403, "other_model"],
    "other key": [401, "token_missing"],
    "no token": [401, "token_missing"],
    "sibling's token": [401, "token_invalid"],
    "other run's token": [401, "token_invalid"],
    "longer token": [401, "token_invalid"],
    "no signature": [401, "token_invalid"],
    "long body": [413, "body_too_long"],
    "many at once": [429, "too_many_requests"],
}
