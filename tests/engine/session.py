"""A session with a Dagger engine, spoken to as its own clients do: GraphQL over HTTP."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Self

import httpx

ROOT = Path(__file__).parent.parent.parent
RUNNER_HOST = "_EXPERIMENTAL_DAGGER_RUNNER_HOST"
START_SECONDS = 60
QUERY_SECONDS = 280


class EngineError(Exception):
    """What the engine answered in place of data: the line that a person would read.

    Parameters
    ----------
    code
        What a program tells it by, if the module said that.
    """

    def __init__(self, line: str, code: str | None = None) -> None:
        super().__init__(line)
        self.code = code


def missing() -> str | None:
    """Name what is missing for a session with an engine, as far as can be told at once."""
    if shutil.which("dagger") is None:
        return "there is no dagger on PATH"
    runtimes = ("docker", "podman", "nerdctl", "container")
    if RUNNER_HOST not in os.environ and not any(map(shutil.which, runtimes)):
        return f"{RUNNER_HOST} is not set, and there is no {', '.join(runtimes)} to start an engine"
    return None


class Session:
    """One session; what has the policy ``session`` is cached within it and not beyond."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            ["dagger", "session", "--progress=plain"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # The session lives as long as this pipe does.
            stdin=subprocess.PIPE,
            cwd="/",
            env={k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "ANTHROPIC_"))},
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self.close()
            raise EngineError("dagger session ended before it began: no engine answers")
        address = json.loads(line)
        self._http = httpx.Client(
            base_url=f"http://127.0.0.1:{address['port']}",
            auth=(address["session_token"], ""),
            timeout=QUERY_SECONDS,
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the session."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(START_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        if hasattr(self, "_http"):
            self._http.close()

    def query(self, query: str) -> Any:
        """Return the data that a query asks for."""
        response = self._http.post("/query", json={"query": query})
        if not response.is_success:
            raise EngineError(response.text)
        answer = response.json()
        if answer.get("errors"):
            error = answer["errors"][0]
            raise EngineError(error["message"], error.get("extensions", {}).get("extra.code"))
        return answer["data"]

    def serve(self, module: Path = ROOT) -> None:
        """Load a module into the session."""
        self.query(f"{{moduleSource(refString:{json.dumps(str(module))}){{asModule{{serve}}}}}}")

    def directory(self, path: Path) -> str:
        """Return the id of a directory of this machine."""
        found = self.query(f"{{host{{directory(path:{json.dumps(str(path))}){{id}}}}}}")
        return str(found["host"]["directory"]["id"])

    def service(self, base_url: str) -> str:
        """Return the id of a service that leads to a server on this machine's loopback."""
        port = httpx.URL(base_url).port
        ports = f"[{{frontend:{port},backend:{port}}}]"
        found = self.query(f'{{host{{service(host:"127.0.0.1",ports:{ports}){{id}}}}}}')
        return str(found["host"]["service"]["id"])

    def secret(self, name: str, plaintext: str) -> str:
        """Return the id of a new secret."""
        found = self.query(
            f"{{setSecret(name:{json.dumps(name)},plaintext:{json.dumps(plaintext)}){{id}}}}"
        )
        return str(found["setSecret"]["id"])


def arguments(given: dict[str, Any]) -> str:
    """Return GraphQL arguments in brackets, without those that are ``None``."""
    # JSON is GraphQL's own notation for all that is used here: texts, numbers, lists.
    text = ",".join(f"{k}:{json.dumps(v)}" for k, v in given.items() if v is not None)
    return f"({text})" if text else ""
