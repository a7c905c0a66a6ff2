"""No program that the gateway starts is given its key or its token, but for the agent's key."""

import shutil
from pathlib import Path

from aideator_gateway.scripted_model.script import Text
from aideator_gateway.scripted_model.server import Script, ScriptedModel
from tests.support.command import run
from tests.support.gateways import serving
from tests.support.programs import Programs

KEY = "sk-ant-canary-0123456789"
TOKEN = "token-canary-0123456789"  # noqa: S105 - opens nothing


def test_only_agents_are_given_the_key_and_nobody_the_token(
    shared_repository: Path, tmp_path: Path
) -> None:
    programs = Programs(tmp_path / "bin")
    own = ["cp", "git", "rm", *(["bwrap"] if shutil.which("bwrap") else [])]
    for name in own:
        programs.record(name)
    # Where there are overlays nothing is copied.
    programs.fail("unshare")
    # A client that knows an engine's version, but of no engine.
    programs.record("dagger", "echo dagger v0.21.8")
    programs.record("docker", "exit 0")
    with (
        ScriptedModel(Script({}, default=[[Text("Nothing to do.")]])) as model,
        serving(
            tmp_path / "data", "--backend", "auto", "--allow-file", "--base-url", model.base_url,
            token=TOKEN, ANTHROPIC_API_KEY=KEY, PATH=programs.path,
            _EXPERIMENTAL_DAGGER_CLI_BIN="", _EXPERIMENTAL_DAGGER_RUNNER_HOST="",
        ) as gateway,
    ):  # fmt: skip
        run_id = gateway.create(github_url=shared_repository.as_uri(), variations=1)
        assert gateway.finish(run_id)["status"] == "completed"
        assert {KEY in str(request.headers) for request in model.requests} == {True}
    records = programs.records
    # Without any, libcurl looks for passwords in the home directory of the gateway's user.
    assert all("HOME=/dev/null" in record.splitlines() for record in records["git"])
    for name in (*own, "dagger", "docker"):
        for record in records[name]:
            assert TOKEN not in record
            assert KEY not in record or "aideator.agent" in record.splitlines()[0], record


def test_the_user_s_own_git_is_not_given_the_key(repository: Path, tmp_path: Path) -> None:
    programs = Programs(tmp_path / "bin")
    programs.record("git")
    with ScriptedModel(Script({}, default=[[Text("Nothing to do.")]])) as model:
        run(
            "run", ".", "Do it.", "--backend", "local", "-n", "1",
            "--data-dir", str(tmp_path / "data"), "--base-url", model.base_url,
            cwd=repository, ANTHROPIC_API_KEY=KEY, AIDEATOR_TOKEN=TOKEN, PATH=programs.path,
        )  # fmt: skip
    records = programs.records["git"]
    assert any("status" in record.splitlines()[0] for record in records)
    for record in records:
        assert KEY not in record
        assert TOKEN not in record
