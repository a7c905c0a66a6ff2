"""Modules that build on this one: its own tests as one, and the example."""

import os
import subprocess
from pathlib import Path

import pytest

from aideator_gateway.demo.standin import DemoPlayer
from aideator_gateway.scripted_model.server import ScriptedModel
from tests.engine.session import ROOT

pytestmark = [
    pytest.mark.engine,
    pytest.mark.timeout(400),
    pytest.mark.skipif(
        "AIDEATOR_REQUIRE_ENGINE" not in os.environ,
        reason="builds two more modules, which takes minutes: make test-engine does it",
    ),
    # Its session builds this module's runtime, which theirs then find.
    pytest.mark.usefixtures("module"),
]


def call(module: str, *words: str) -> str:
    done = subprocess.run(
        ["dagger", "--progress=plain", "call", *words],
        cwd=ROOT / module, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
        env={k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "ANTHROPIC_"))},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def test_the_test_module() -> None:
    assert call("tests/module", "all") == "3 tests passed"


def test_the_example_applies_a_winner(repository: Path) -> None:
    before = {path: path.read_bytes() for path in repository.rglob("*.*") if path.is_file()}
    with ScriptedModel(DemoPlayer(2000)) as model:
        call(
            "examples/compose", f"--model-service={model.base_url.replace('http', 'tcp')}",
            "pick", f"--source={repository}", "--prompt=Improve it.", "--check=test -s README.md",
            "export", f"--path={repository}",
        )  # fmt: skip
    after = {path: path.read_bytes() for path in repository.rglob("*.*") if path.is_file()}
    assert after != before
    assert before.keys() <= after.keys()
