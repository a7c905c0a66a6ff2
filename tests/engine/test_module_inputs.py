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
CASES: dict[str, tuple[dict[str, Any], str, str]] = {
    # name: (arguments, the argument named, a part of the remedy)
    "six variations": ({"variations": 6}, "variations", "between 1 and 5"),
    "neither repo nor source": ({"source": None}, "repo", "one of them"),
    "unreachable": ({"repo": URL}, "repo", "cannot be reached"),
    "check image": ({"check": "true", "checkImage": "none.invalid/x"}, "check_image", "pulled"),
    "set-up fails": ({"setup": "echo no such tool; exit 3"}, "setup", "exit code 3: no such tool"),
    "set-up hangs": ({"setup": "sleep 60", "setupSeconds": 1}, "setup", "within 1 s"),
}

SETTINGS: dict[str, tuple[dict[str, Any], str, str]] = {
    "no key": ({"model_url": None}, "api_key", "env://ANTHROPIC_API_KEY"),
    "no such image": ({"baseImage": "none.invalid/x"}, "base_image", "cannot be pulled"),
    "no python": ({"baseImage": "debian:bookworm-slim"}, "base_image", "Python 3.11 or newer"),
}


def test_each_is_one_line_and_starts_nothing(module: Module, tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/HEAD").touch()
    with ScriptedModel(Script(default=creates("new.txt"))) as model:
        url = model.base_url

        def told(case: tuple[dict[str, Any], dict[str, Any]]) -> str:
            given, settings = dict(case[0]), dict(case[1])
            model_url = settings.pop("model_url", url)
            with pytest.raises(EngineError) as caught:
                module.run("summary", model_url, **given, settings=settings)
            return str(caught.value)

        cases: list[tuple[dict[str, Any], dict[str, Any]]]
        cases = [(given, {}) for given, _, _ in CASES.values()]
        cases += [({}, settings) for settings, _, _ in SETTINGS.values()]
        cases += [({"source": module.session.directory(tmp_path)}, {})]
        # Each takes the start of a Python; two at once are as many as it pays to run.
        with ThreadPoolExecutor(4) as pool:
            lines = list(pool.map(told, cases))
        assert model.requests == []
    wanted = [(argument, remedy) for _, argument, remedy in (*CASES.values(), *SETTINGS.values())]
    wanted += [("source", "no files")]
    for line, (argument, remedy) in zip(lines, wanted, strict=True):
        assert line.startswith(f"FunctionError: {argument}: "), line
        assert remedy in line, line
        assert "\n" not in line, line


def test_a_variation_that_is_not_there(module: Module) -> None:
    wanted = pytest.raises(EngineError, match=r"^FunctionError: n: .*1 to 1")
    with ScriptedModel(Script(default=creates("new.txt"))) as model, wanted:
        module.run("variation(n:2){label}", model.base_url, variations=1)
