"""Bad input: one line that names the argument and the remedy, and no agent started."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from aideator_gateway.scripted_model.server import Script, ScriptedModel
from tests.engine.module import Module, creates
from tests.engine.session import EngineError

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]

URL = "https://host.invalid/owner/repository"

# What can be told without an engine is tested in tests/aideator.
# Each with the argument named, a part of the remedy, and the code for programs.
CASES: list[tuple[dict[str, Any], str, str, str]] = [
    ({"variations": 6}, "variations", "between 1 and 5", "invalid_request"),
    ({"source": None}, "repo", "one of them", "invalid_request"),
    ({"repo": URL}, "repo", "cannot be reached", "repository_unreachable"),
    (
        {"check": "true", "checkImage": "none.invalid/x"},
        "check_image", "pulled", "base_image_unsupported",
    ),
    (
        {"setup": "echo no such tool; exit 3"},
        "setup", "exit code 3: no such tool", "setup_failed",
    ),
    ({"setup": "sleep 60", "setupSeconds": 1}, "setup", "within 1 s", "setup_failed"),
]  # fmt: skip

# The same of what the constructor is given.
SETTINGS: list[tuple[dict[str, Any], str, str, str]] = [
    ({"model_url": None}, "api_key", "env://ANTHROPIC_API_KEY", "missing_api_key"),
    (
        {"baseImage": "none.invalid/x"},
        "base_image", "cannot be pulled", "base_image_unsupported",
    ),
    (
        {"baseImage": "debian:bookworm-slim"},
        "base_image", "Python 3.11 or newer", "base_image_unsupported",
    ),
]  # fmt: skip


def test_each_is_one_line_and_starts_nothing(module: Module, tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/HEAD").touch()
    with ScriptedModel(Script(default=creates("new.txt"))) as model:
        url = model.base_url

        def told(case: tuple[dict[str, Any], dict[str, Any]]) -> tuple[str, str | None]:
            given, settings = dict(case[0]), dict(case[1])
            model_url = settings.pop("model_url", url)
            with pytest.raises(EngineError) as caught:
                module.run("summary", model_url, **given, settings=settings)
            return str(caught.value), caught.value.code

        cases: list[tuple[dict[str, Any], dict[str, Any]]]
        cases = [(given, {}) for given, _, _, _ in CASES]
        cases += [({}, settings) for settings, _, _, _ in SETTINGS]
        cases += [({"source": module.session.directory(tmp_path)}, {})]
        # Each takes the start of a Python; two at once are as many as it pays to run.
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(told, cases))
        assert model.requests == []
    wanted = [expected for _, *expected in (*CASES, *SETTINGS)]
    wanted += [["source", "no files", "invalid_request"]]
    for (line, code), (argument, remedy, its_code) in zip(answers, wanted, strict=True):
        assert code == its_code, line
        assert line.startswith(f"FunctionError: {argument}: "), line
        assert remedy in line, line
        assert "\n" not in line, line


def test_a_variation_that_is_not_there(module: Module) -> None:
    wanted = pytest.raises(EngineError, match=r"^FunctionError: n: .*1 to 1")
    with ScriptedModel(Script(default=creates("new.txt"))) as model, wanted:
        module.run("variation(n:2){label}", model.base_url, variations=1)
