"""A scripted twin of the ``dagger`` command: holds a session, and plays what a plan says.

It speaks what the real one does as far as the gateway listens: a line with port and token on
stdout, GraphQL over HTTP, OpenTelemetry logs to the endpoint in its environment, an end
when its standard input ends. The plan is a JSON file, read anew for every query:

``lines``    lines of each variation, as its transcript has them, by variation id; the run is
             called ``run_a`` in them, and the real id takes its place
``live``     of these, the numbers (from 0) that are exported live; all if left out
``answer``   fields of each variation in the query's answer, by variation id
``error``    the module's error in place of an answer, with its ``extensions``
``mode``     ``hang`` does not answer a run; ``die`` kills the session in the middle of it;
             ``mute`` answers nothing any more
"""

import http.server
import json
import os
import re
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

from tests.support.logs import request

COMMIT = "c" * 40
"""Of every repository."""


class _Server(http.server.ThreadingHTTPServer):
    plan: Path
    run_id = "run_a"
    daemon_threads = True


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if found := re.search(r"runId: \$(\w+)", asked["query"]):
            self.server.run_id = asked["variables"][found[1]]
        plan = json.loads(self.server.plan.read_text().replace("run_a", self.server.run_id))
        with self.server.plan.with_name("queries.jsonl").open("a") as log:
            log.write(json.dumps(asked) + "\n")
        if plan.get("mode") == "mute":
            time.sleep(3600)
        answer = json.dumps(self._answer(asked["query"], asked["variables"], plan)).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""

    def _answer(self, query: str, variables: dict[str, Any], plan: dict[str, Any]) -> Any:
        if "runVariations" in query:
            return self._run(plan)
        if "node(" in query:
            for number, lines in plan["lines"].items():
                directory = Path(variables["path"]) / f"variation-{number}"
                directory.mkdir(parents=True)
                (directory / "transcript.jsonl").write_text("".join(lines))
            return {"data": {"node": {"results": {"export": variables["path"]}}}}
        if "commit(" in query:
            return {"data": {"git": {"ref": {"commit": COMMIT}}}}
        return {"data": _anything(query)}

    def _run(self, plan: dict[str, Any]) -> Any:
        for lines in plan["lines"].values():
            live = plan.get("live", range(len(lines)))
            _export(b"".join(lines[number].encode() for number in live if number < len(lines)))
        if plan.get("mode") == "die":
            os._exit(1)
        if plan.get("mode") == "hang":
            # The client closes its connection when the run is cancelled.
            self.connection.recv(1)
            self.server.plan.with_name("cancelled").touch()
            return {}
        if "error" in plan:
            error = {"message": plan["error"], "extensions": plan.get("extensions", {})}
            return {"data": None, "errors": [error]}
        told = {"status": "completed", "errorCode": None, "message": "", "check": None}
        variations = [
            {"variationId": int(number), **told, **plan.get("answer", {}).get(number, {})}
            for number in plan["lines"]
        ]
        run = {"id": "run-object", "commit": COMMIT, "variations": variations}
        return {"data": {"aideator": {"runVariations": run}}}


def _anything(query: str) -> Any:
    """Return an answer in the shape of a query that asks for one thing."""
    value: Any = "an-id"
    arguments = re.compile(r"\([^()]*\)|\[[^]]*\]")
    shape = arguments.sub("", arguments.sub("", query))
    for name in reversed(re.findall(r"{\s*(\w+)", shape)):
        value = {name: value}
    return value


def _export(text: bytes) -> None:
    """Send output as an engine does: in pieces that end anywhere."""
    pieces = [text[start : start + 700] for start in range(0, len(text), 700)]
    body = request(*pieces).SerializeToString()
    endpoint = os.environ["OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"]
    with urllib.request.urlopen(urllib.request.Request(endpoint, body)):  # noqa: S310
        pass


def install(directory: Path, plan: Path) -> Path:
    """Write the command into a directory and return its path."""
    command = directory / "dagger"
    root = Path(__file__).parents[2]
    command.write_text(
        f"#!{sys.executable}\n"
        f"import sys\nsys.path.insert(0, {str(root)!r})\n"
        f"from tests.support.scripted_dagger import main\nmain({str(plan)!r})\n"
    )
    command.chmod(0o755)
    return command


def main(plan: str) -> None:
    """Hold a session until stdin ends."""
    if sys.argv[1:2] == ["version"]:
        print("dagger v0.21.8 (scripted) linux/amd64")  # noqa: T201
        return
    if not json.loads(Path(plan).read_text()).get("engine", True):
        print("Error: start engine: there is none", file=sys.stderr)  # noqa: T201
        sys.exit(1)
    server = _Server(("127.0.0.1", 0), _Handler)
    server.plan = Path(plan)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    told = {"port": server.server_address[1], "session_token": "token"}
    print(json.dumps(told), flush=True)  # noqa: T201
    sys.stdin.read()
