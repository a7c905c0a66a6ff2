"""What is done again and what is not, counted at the model and seen in what set-up left."""

import json
import shutil
import subprocess
import uuid
from pathlib import Path

import pytest

from aideator_gateway.scripted_model.server import Script, ScriptedModel
from tests.engine.module import Module, creates
from tests.engine.session import ROOT, Session

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]

REQUESTS = 2
"""What one variation asks of the model in ``creates``."""


def test_agents_run_anew_when_asked_to_and_set_up_does_not(module: Module) -> None:
    again = [reply for _ in range(4) for reply in creates("new.txt")]
    setup = f"cat /proc/sys/kernel/random/uuid >stamp.txt # {uuid.uuid4()}"
    fields = 'variations{directory{file(path:"stamp.txt"){contents}}}'
    stamps: list[str] = []

    with ScriptedModel(Script(default=again)) as model:

        def run(place: Module, **ids: object) -> int:
            found = place.run(fields, model.base_url, variations=2, setup=setup, **ids)
            stamps.extend(v["directory"]["file"]["contents"] for v in found["variations"])
            return len(model.requests)

        assert run(module, runId="a") == 2 * REQUESTS
        # The very same again, and another field of it.
        assert run(module, runId="a") == 2 * REQUESTS
        module.run("summary", model.base_url, variations=2, setup=setup, runId="a")
        assert len(model.requests) == 2 * REQUESTS
        assert run(module, runId="b") == 4 * REQUESTS
        assert run(module, runId="b", attempt=2) == 6 * REQUESTS
        with Session() as session:
            session.serve()
            assert run(Module(session, module.repository), runId="a") == 8 * REQUESTS
    assert len(stamps) == 10
    assert len(set(stamps)) == 1


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a copy of this project's files, as a fresh clone has them."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True, check=True, text=True,
    )  # fmt: skip
    target = tmp_path / "copy"
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target / name)
    return target


@pytest.mark.usefixtures("engine")
def test_only_an_edit_of_the_module_is_an_edit_of_the_module(copy: Path) -> None:
    def digest() -> str:
        # A new session, since files of this machine are read once in each.
        with Session() as session:
            query = f"{{moduleSource(refString:{json.dumps(str(copy))}){{digest}}}}"
            return str(session.query(query)["moduleSource"]["digest"])

    before = digest()
    for name in (
        "gateway/aideator_gateway/http/app.py",
        "tests/conftest.py",
        "docs/dagger.md",
        "Makefile",
    ):
        with (copy / name).open("a") as file:
            file.write("\n# Edited.\n")
    assert digest() == before
    with (copy / "src/aideator/run.py").open("a") as file:
        file.write("\n# Edited.\n")
    assert digest() != before
