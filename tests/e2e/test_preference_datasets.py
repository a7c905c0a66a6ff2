"""What is exported loads with the ``datasets`` library, as trainers load it.

It is a large library for one test; ``make test-soak`` installs it.
"""

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

from aideator_gateway.scripted_model.script import ToolUse
from aideator_gateway.scripted_model.server import ScriptedModel
from tests.support.command import run
from tests.support.known_quality import KnownQuality
from tests.support.labs import Lab

pytestmark = [pytest.mark.soak, pytest.mark.timeout(600)]

FIRST = (
    ToolUse("list_files", {"pattern": "*.py"}),
    ToolUse("search_text", {"pattern": "x", "literal": True}),
    ToolUse("list_files", {}, raw="{not json"),
)
"""Calls whose arguments have nothing in common."""


@pytest.fixture
def datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    return importlib.import_module("datasets")


@pytest.mark.filterwarnings("default")
def test_both_forms_load_and_are_what_was_written(
    tmp_path: Path, shared_repository: Path, datasets: Any
) -> None:
    with ScriptedModel(KnownQuality(5_000, *FIRST), record=False) as model:
        lab = Lab(tmp_path, shared_repository, model)
        lab.write(qualities=(100, 0), repeats=2)
        lab.run()
    for form in ((), ("--unpaired",), ("--without-files",)):
        file = tmp_path / "exported.jsonl"
        words = ("known", "--from-checks", *form, "--output", str(file))
        run("export", "preferences", *words, cwd=tmp_path, **lab.settings)
        written = [json.loads(line) for line in file.read_text().splitlines()]
        assert len(written) == 8
        cache = str(tmp_path / f"cache{form}")
        loaded = datasets.load_dataset(
            "json",
            data_files=str(file),
            split="train",
            cache_dir=cache,
            features=features(datasets, form),
        )
        assert [without_nothing(record) for record in loaded] == [
            without_nothing(record) for record in written
        ]
        # Without features, types are found out: messages are as they are all the same.
        guessed = datasets.load_dataset(
            "json", data_files=str(file), split="train", cache_dir=f"{cache} guessed"
        )
        columns = ["completion"] if form == ("--unpaired",) else ["chosen", "rejected"]
        for column in ("prompt", *columns):
            assert guessed[0][column] == written[0][column]


def features(datasets: Any, form: tuple[str, ...]) -> Any:
    """Return the features that docs/preferences.md gives."""
    page = (Path(__file__).parents[2] / "docs/preferences.md").read_text()
    code = page.split("```python\n")[1].split("```")[0].partition("dataset = ")[0]
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 - the page's own example
    found = dict(names["features"])
    if form == ("--unpaired",):
        found["completion"] = found.pop("chosen")
        found["label"] = datasets.Value("bool")
        del found["rejected"]
    return datasets.Features(found)


def without_nothing(value: Any) -> Any:
    """Return a record without what is null: a column of messages has all their fields."""
    if isinstance(value, dict):
        return {name: without_nothing(one) for name, one in value.items() if one is not None}
    return [without_nothing(one) for one in value] if isinstance(value, list) else value
