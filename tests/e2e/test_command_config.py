"""``config`` and ``completion``."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.command import run, run_here
from tests.support.gateways import COMMAND, Gateway, environment


def test_config_says_what_is_in_force_and_where_from(tmp_path: Path) -> None:
    done = run_here(
        "config", "--port", "9001", "--json", "--allow-host", "a.example", "--data-dir", "data",
        cwd=tmp_path, AIDEATOR_MODEL="some-model", ANTHROPIC_BASE_URL="http://u:secret@h.example/",
        ANTHROPIC_API_KEY="sk-secret",
        AIDEATOR_TOKEN="t-secret",  # noqa: S106 - a made-up one, to see that it is hidden
    )  # fmt: skip
    printed = json.loads(done.stdout)
    found = printed["settings"]
    assert printed["running_gateway"] is None
    assert found["port"] == {"value": 9001, "source": "--port"}
    assert found["model"] == {"value": "some-model", "source": "AIDEATOR_MODEL"}
    assert found["host"] == {"value": "127.0.0.1", "source": "default"}
    assert found["allow_host"] == {"value": ["a.example"], "source": "--allow-host"}
    assert found["data_dir"] == {"value": str(tmp_path / "data"), "source": "--data-dir"}
    assert found["base_url"] == {"value": "http://***@h.example/", "source": "ANTHROPIC_BASE_URL"}
    assert found["api_key"] == {"value": "set (hidden)", "source": "ANTHROPIC_API_KEY"}
    assert found["token"] == {"value": "set (hidden)", "source": "AIDEATOR_TOKEN"}
    assert found["auth_token"] == {"value": None, "source": "default"}
    assert b"secret" not in done.stdout + done.stderr


def test_config_is_a_table_for_people(tmp_path: Path) -> None:
    done = run_here("config", cwd=tmp_path, AIDEATOR_API_KEY="sk-secret", AIDEATOR_DEMO="1")
    rows = {
        line.split()[0]: line.split(maxsplit=1)[1] for line in done.stdout.decode().splitlines()
    }
    assert rows["api_key"].split("  ")[0] == "set (hidden)"
    assert rows["api_key"].split()[-1] == "AIDEATOR_API_KEY"
    assert rows["demo"].split() == ["on", "AIDEATOR_DEMO"]
    assert rows["auth_token"].split() == ["not", "set", "default"]
    assert b"secret" not in done.stdout


def test_config_names_a_running_gateway(demo_gateway: Gateway, tmp_path: Path) -> None:
    done = run_here("config", "--data-dir", str(demo_gateway.data_dir), cwd=tmp_path)
    assert demo_gateway.url.encode() in done.stderr


def completions(words: str, cwd: Path, shell: str = "bash") -> list[str]:
    done = subprocess.run(
        [COMMAND],
        env=environment(
            _AIDEATOR_COMPLETE=f"{shell}_complete",
            COMP_WORDS=words,
            COMP_CWORD=str(len(words.split(" ")) - 1),
        ),
        cwd=cwd, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_commands_options_and_runs_are_completed(
    repository: Path, demo_gateway: Gateway, tmp_path: Path
) -> None:
    assert set(completions("aideator s", tmp_path)) == {
        "plain,scripted-model", "plain,select", "plain,serve", "plain,show",
    }  # fmt: skip
    assert "plain,--backend" in completions("aideator run --b", tmp_path)
    assert completions("aideator run --backend l", tmp_path) == ["plain,local"]
    nothing = tmp_path / "nothing"
    assert completions(f"aideator show --data-dir {nothing} la", tmp_path) == ["plain,latest"]
    assert not nothing.exists()
    run_id = demo_gateway.create(github_url=repository.as_uri(), variations=1)
    words = f"aideator show --data-dir {demo_gateway.data_dir}"
    assert f"plain,{run_id}" in completions(f"{words} run_", tmp_path)
    assert completions(f"{words} {run_id[:-1]}", tmp_path) == [f"plain,{run_id}"]
    demo_gateway.http.post(f"/runs/{run_id}/cancel", json={})


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shells_script_asks_the_command(tmp_path: Path, shell: str) -> None:
    script = run("completion", shell, cwd=tmp_path).stdout.decode()
    assert f"_AIDEATOR_COMPLETE={shell}_complete" in script
    assert completions("aideator cance", tmp_path, shell)


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_with_the_script(tmp_path: Path) -> None:
    program = (
        'eval "$(aideator completion bash)"; COMP_WORDS=(aideator can); COMP_CWORD=1; '
        '_aideator_completion aideator; echo "${COMPREPLY[@]}"'
    )
    path = f"{Path(COMMAND).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", program], env=environment(PATH=path), cwd=tmp_path,
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout == "cancel\n"
