"""How the module's agents reach the model: through its own broker, or through the caller's."""

import json
import secrets
import time
import uuid
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from aideator.protocol import GRACE_SECONDS
from aideator.protocol.tokens import Grant, run_secret, token_for, verified
from aideator_gateway.scripted_model.script import Reply, Text, TokenCounts, ToolUse, Wait
from aideator_gateway.scripted_model.server import Script, ScriptedModel
from tests.engine.module import Module, creates
from tests.engine.session import EngineError, arguments
from tests.support.brokers import SIGNING_SECRET, broker_for, configuration

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]

MODEL = "claude-sonnet-5-5"

# A hostile program in the place of the agent: it searches for a text, the two halves of which
# it gets, and tries to open the broker.
SEARCH = """
import os, pathlib, sys
wanted = "".join(sys.argv[1:3]).encode()
seen = 0
for top in ("/proc/self", "/proc/1", *(p for p in pathlib.Path("/").iterdir())):
    for path in pathlib.Path(top).rglob("*") if str(top) not in ("/proc", "/sys") else ():
        if str(top).startswith("/proc/") and path.name not in ("environ", "cmdline"):
            continue
        try:
            if path.is_file():
                content = path.read_bytes()
                seen += 1
                if wanted in content:
                    print("FOUND", path)
        except OSError:
            pass
print("searched", seen > 1000)
"""

KNOCK = """
import httpx2, json, sys
for url, path, token in json.loads(sys.argv[1]):
    headers = {"authorization": f"Bearer {token}"} if token else {}
    body = {"model": sys.argv[2], "max_tokens": 9, "stream": True,
            "messages": [{"role": "user", "content": "x"}]}
    answer = httpx2.post(url + path, headers=headers, json=body, timeout=60)
    print(answer.status_code, answer.headers.get("aideator-refused"))
"""


def token(secret: str, run: str, **claims: Any) -> str:
    grant = {"variation": 1, "models": (MODEL,), "exp": time.time() + 600, **claims}
    return token_for(run_secret(secret, run), Grant(run=run, **grant))


def python(code: str, *words: str) -> str:
    """Return a field of a container that runs some Python as the agent would."""
    argv = json.dumps(["python3", "-c", code, *words])
    return f"withExec(args:{argv}){{stdout}}"


@pytest.mark.parametrize("argument", ["apiKey", "authToken"])
def test_from_an_agents_container_there_is_no_key_and_no_way_without_a_token(
    module: Module, argument: str
) -> None:
    key = f"sk-ant-{secrets.token_hex(16)}"
    attempts = [
        ("http://broker:8080", "/v1/messages", None),
        ("http://broker:8080", "/v1/messages", "none"),
        ("http://broker:8080", "/v1/messages", token("a secret of somebody else's", "run_1")),
        ("http://broker:8080", "/v1/models", None),
    ]
    knock = python(KNOCK, json.dumps(attempts), MODEL)
    search = python(SEARCH, key[:20], key[20:])
    fields = f"variation(n:1){{status container{{knock:{knock} search:{search}}}}}"
    with ScriptedModel(Script(default=creates("new.txt"))) as model:
        settings = {argument: module.session.secret(f"key of {argument}", key)}
        found = module.run(fields, model.base_url, variations=1, settings=settings)["variation"]
        assert [request.headers["authorization"] for request in model.requests] == [
            f"Bearer {key}"
        ] * 2
    assert found["status"] == "completed"
    assert found["container"]["search"]["stdout"].split() == ["searched", "True"]
    assert found["container"]["knock"]["stdout"].splitlines() == [
        "401 token_missing", "401 token_invalid", "401 token_invalid", "404 other_path",
    ]  # fmt: skip


def test_a_key_that_is_not_there_is_one_line(module: Module) -> None:
    found = module.session.query('{secret(uri:"env://NO_KEY"){id}}')
    settings = {"apiKey": found["secret"]["id"]}
    with ScriptedModel(Script(default=creates("new.txt"))) as model:
        with pytest.raises(
            EngineError, match=r"^FunctionError: api_key: .*secret env var not found"
        ):
            module.run("summary", model.base_url, settings=settings)
        assert model.requests == []


def test_the_broker_runs_in_the_base_image_that_the_caller_names(module: Module) -> None:
    with ScriptedModel(Script(default=creates("new.txt"))) as model:
        settings = {"baseImage": "python:3.11-slim"}
        found = module.run("variations{status}", model.base_url, variations=1, settings=settings)
    assert found["variations"] == [{"status": "completed"}]


def test_requests_at_once_are_as_many_as_was_said(module: Module) -> None:
    talk: Reply = [Text("Done. "), Wait(1.5)]
    with ScriptedModel(Script(default=[talk])) as model:
        found = module.run(
            "variations{status}", model.base_url, variations=3, settings={"maxConcurrent": 1}
        )
        times = sorted(request.time for request in model.requests)
    assert found["variations"] == [{"status": "completed"}] * 3
    assert len(times) == 3
    assert all(later - earlier >= 1.5 for earlier, later in pairwise(times))


def test_tokens_are_made_from_the_runs_key_and_last_as_long_as_an_attempt(module: Module) -> None:
    run = f"run_{uuid.uuid4().hex}"
    key = module.session.secret("run key", run_secret(SIGNING_SECRET, run))
    limits = json.dumps({"max_seconds": 300})
    conditions = [json.dumps({}), json.dumps({"model": "other"})]
    # What they reach is the model itself, which takes any token and keeps it.
    with ScriptedModel(Script(default=[[Text("Done.")]])) as model:
        started = time.time()
        found = module.run(
            "variations{status}", model.base_url, runId=run, runKey=key, attempt=7,
            limits=limits, conditions=conditions,
        )  # fmt: skip
        ended = time.time()
        headers = [request.headers["authorization"] for request in model.requests]
    assert found["variations"] == [{"status": "completed"}] * 2
    grants = [verified(SIGNING_SECRET, header.removeprefix("Bearer ")) for header in headers]
    assert {(g.run, g.variation, g.attempt, g.models) for g in grants} == {
        (run, 1, 7, (MODEL,)),
        (run, 2, 7, ("other",)),
    }
    for grant in grants:
        assert started < grant.expires - 300 - GRACE_SECONDS < ended


def test_a_callers_broker_opens_for_the_run_whose_key_it_gave(
    module: Module, tmp_path: Path
) -> None:
    run = f"run_{uuid.uuid4().hex}"
    own, foreign = (
        module.session.secret(f"key of {name}", run_secret(SIGNING_SECRET, name))
        for name in (run, f"another than {run}".replace(" ", "_"))
    )
    expired = token(SIGNING_SECRET, run, exp=time.time() - 1)
    with (
        ScriptedModel(Script(default=[*creates("new.txt"), [Text("Who is there?")]])) as model,
        broker_for(tmp_path, configuration(model.base_url)) as broker,
    ):
        url = f"http://model:{broker.ready['port']}"
        attempts = [
            (url, "/v1/messages", expired),
            (url, "/v1/messages", token(SIGNING_SECRET, run)),
        ]
        knock = python(KNOCK, json.dumps(attempts), MODEL)
        fields = f"variation(n:1){{status errorCode container{{knock:{knock}}}}}"
        given = {"runId": run, "variations": 1}
        found = module.run(fields, broker.base_url, **given, runKey=own)["variation"]
        assert (found["status"], found["errorCode"]) == ("completed", None)
        # The second one shows that it was its age that the first was refused for.
        assert found["container"]["knock"]["stdout"].splitlines() == [
            "401 token_expired", "200 None",
        ]  # fmt: skip
        asked = len(model.requests)
        fields = "variation(n:1){status errorCode}"
        found = module.run(fields, broker.base_url, **given, runKey=foreign)["variation"]
        assert (found["status"], found["errorCode"]) == ("failed", "authentication_failed")
        assert len(model.requests) == asked == 3
        assert broker.refused()["token_invalid"] >= 1


@pytest.mark.parametrize(("fixed", "second"), [(False, "end_turn"), (True, "limit_cost")])
def test_an_attempt_goes_on_with_what_a_sibling_left_over(
    module: Module, *, fixed: bool, second: str
) -> None:
    look = ToolUse("list_files", {})
    one, one_and_a_half, two = (TokenCounts(n, 0) for n in (500_000, 750_000, 1_000_000))
    # Each may spend three dollars. The first leaves two, and the second comes to three and a half.
    costly: list[Reply] = [[look, Wait(10), two], [look, one_and_a_half], [Text("Done.")]]
    run = arguments({"source": module.session.directory(module.repository), "prompt": "Do it.",
                     "variations": 2, "runId": f"run_{uuid.uuid4().hex}"})  # fmt: skip
    with ScriptedModel(Script({1: [[Text("Done."), one]], 2: costly})) as model:
        limited = f"withLimits(maxRunCostUsd:6.0,fixedShares:{json.dumps(fixed)})"
        found = module.ask(
            f"{limited}{{runVariations{run}{{variations{{stopReason message}}}}}}",
            model_url=model.base_url,
        )
    variations = found["withLimits"]["runVariations"]["variations"]
    assert [each["stopReason"] for each in variations] == ["end_turn", second], variations
