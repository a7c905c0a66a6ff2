"""What keeps agents, the repository's own code and the API key apart."""

import json
import secrets
from pathlib import Path

import pytest

from aideator_gateway.scripted_model.server import Script, ScriptedModel
from tests.engine.module import Module, creates, forms

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]

# What a hostile repository would do in its set-up: put code into every Python that starts.
PLANT = """
site=$(python3 -c 'import site; print(site.getsitepackages()[0])')
echo 'open("/repo/planted.txt", "a").write("planted")' >$site/sitecustomize.py
env >set-up.txt
"""

CHECK = """
python3 -c 'bytearray(5 << 30)' 2>&1 | tail -1
python3 -c 'open("large", "w").truncate(3 << 30)' 2>&1 | tail -1
id -u; ulimit -u 2>/dev/null || ulimit -p
echo "[$(env | grep -c -e ANTHROPIC -e KEY)]"
"""


def test_the_key_reaches_the_model_and_nothing_else(module: Module, tmp_path: Path) -> None:
    key = f"sk-ant-{secrets.token_hex(16)}"
    marks = forms(key)
    image, results = tmp_path / "image.tar", tmp_path / "results"
    fields = f"""variation(n:1){{
        status check{{output}} directory{{entries}} transcript{{contents}}
        container{{
            envVariables{{name value}} withExec(args:["env"]){{stdout}}
            asTarball(forcedCompression:Uncompressed){{export(path:{json.dumps(str(image))})}}
        }}
    }}"""
    asked = {"variations": 1, "setup": PLANT, "check": CHECK}
    with ScriptedModel(Script(default=creates("new.txt"))) as model:
        settings = {"apiKey": module.session.secret("key", key)}
        found = module.run(fields, model.base_url, **asked, settings=settings)["variation"]
        export = f"results{{export(path:{json.dumps(str(results))})}}"
        module.run(export, model.base_url, **asked, settings=settings)
        assert len(model.requests) == 2
        assert all(key in request.headers["authorization"] for request in model.requests)

    assert found["status"] == "completed"
    # Set-up's code has not run where the key was, though its files are there to be seen.
    assert "set-up.txt" in found["directory"]["entries"]
    assert "planted.txt" not in found["directory"]["entries"]
    assert "[0]" in found["check"]["output"]
    names = {variable["name"] for variable in found["container"]["envVariables"]}
    assert "AIDEATOR_MAX_MEMORY_BYTES" in names
    assert not [name for name in names if name.startswith("ANTHROPIC_")]
    written = [json.dumps(found).encode(), image.read_bytes()]
    written += [path.read_bytes() for path in results.rglob("*") if path.is_file()]
    assert len(written) == 6
    assert b"new.txt" in written[1]
    for content in written:
        assert not any(mark in content for mark in marks)


def test_checks_run_within_limits_and_their_findings_are_data(module: Module) -> None:
    with ScriptedModel(Script(default=creates("new.txt"))) as model:

        def check(command: str, **given: object) -> dict[str, object]:
            found = module.run(
                "variation(n:1){check{exitCode passed seconds output}}", model.base_url,
                variations=1, runId="checked", check=command, **given,
            )  # fmt: skip
            result: dict[str, object] = found["variation"]["check"]
            return result

        limited = check(CHECK)
        memory, size, user, processes, keys = str(limited["output"]).splitlines()[-5:]
        assert memory == "MemoryError"
        assert size == "OSError: [Errno 27] File too large"
        assert (user, processes, keys) == ("59999", "1024", "[0]")
    with ScriptedModel(Script(default=creates("new.txt"))) as model:
        hung = check("echo begun; sleep 60", checkSeconds=1)
        assert (hung["exitCode"], hung["passed"]) == (None, False)
        assert str(hung["output"]).split("\n") == ["begun", "It was stopped."]
        assert 0.9 < float(str(hung["seconds"])) < 5
    with ScriptedModel(Script(default=creates("new.txt"))) as model:
        other = check(
            "cat /etc/debian_version; cat new.txt; exit 7", checkImage="debian:bookworm-slim"
        )
        assert (other["exitCode"], other["passed"]) == (7, False)
        assert str(other["output"]).endswith("made\n")
