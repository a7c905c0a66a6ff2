"""The module as a person at a shell meets it."""

import os
import secrets
import subprocess
import time

import pytest

from aideator_gateway.scripted_model.script import Reply, Text
from aideator_gateway.scripted_model.server import Script, ScriptedModel
from tests.engine.module import Module, creates
from tests.engine.session import ROOT

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]


def call(*words: str, **environment: str) -> subprocess.Popen[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "ANTHROPIC_"))}
    return subprocess.Popen(
        ["dagger", "call", "--progress=plain", *words],
        cwd=ROOT, env={**clean, **environment}, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def test_words_appear_while_the_model_speaks_and_a_table_at_the_end(module: Module) -> None:
    key = f"sk-ant-{secrets.token_hex(16)}"
    slow: list[Reply] = [[Text("I begin.\n"), *creates("new.txt")[0][1:]]]
    slow += [[Text(["I have ", "begun.\n", "And now ", "I end.\n"], pace=2.0)]]
    with ScriptedModel(Script(default=slow)) as model:
        process = call(
            "--api-key=env://SECRET",
            f"--model-service={model.base_url.replace('http', 'tcp')}",
            "with-condition", "--label=small", "with-condition", "--label=large",
            "run-variations", f"--source={module.repository}", "--prompt=Make a file.", "summary",
            SECRET=key,
        )  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        seen: list[tuple[float, str]] = [(time.monotonic(), line) for line in process.stderr]
        table = process.stdout.read()
        process.stdout.close()
        process.stderr.close()
        assert process.wait() == 0, "".join(line for _, line in seen)
        assert all(key in request.headers["authorization"] for request in model.requests)
    at = {
        text: next(when for when, line in seen if text in line)
        for text in ("I begin.", "I have begun.", "I end.")
    }
    assert at["I end."] - at["I have begun."] > 2.0
    assert at["I have begun."] - at["I begin."] > 1.0
    log = "".join(line for _, line in seen)
    assert "variation 1: small" in log
    assert "variation 2: large" in log
    assert key not in log + table
    head, one, two = table.splitlines()[2:5]
    assert head.split() == [
        "#", "label", "model", "status", "why", "turns", "tokens", "cost", "seconds", "patch",
    ]  # fmt: skip
    assert one.split()[:2] == ["1", "small"]
    assert two.split()[:2] == ["2", "large"]
    assert one.endswith("+1 -0")


@pytest.mark.usefixtures("module")
def test_bad_input_is_one_line() -> None:
    process = call("run-variations", "--source=.", "--prompt=x", "summary")
    output, errors = process.communicate()
    assert process.returncode == 1
    assert output == ""
    assert "Traceback" not in errors
    last = errors.strip().splitlines()[-1]
    told = "Error: FunctionError: api_key: there is none; give --api-key=env://"
    assert last.startswith(told), errors
