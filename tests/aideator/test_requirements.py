"""What is installed for the agent and for the broker is what the lock file says."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
COMMAND = (
    "uv export --frozen --no-dev --no-emit-project --no-header --no-annotate "
    "--prune dagger-io --prune gql --quiet"
)


@pytest.mark.parametrize(
    ("requirements", "options", "needed", "unneeded"),
    [
        # Tokens are made and checked outside of sandboxes.
        ("requirements.txt", "--prune pyjwt", ["httpx2"], ["anthropic", "pyjwt", "uvicorn"]),
        (
            "broker-requirements.txt",
            "--extra broker",
            ["anthropic", "pyjwt"],
            ["boto3", "google-auth", "starlette"],
        ),
        (
            "broker-clouds-requirements.txt",
            "--extra broker --extra bedrock --extra vertex",
            ["anthropic", "boto3", "google-auth", "pyjwt"],
            ["starlette"],
        ),
    ],
)
def test_the_packages_are_those_of_the_lock_file(
    requirements: str, options: str, needed: list[str], unneeded: list[str]
) -> None:
    uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    command = f"{COMMAND} {options}"
    done = subprocess.run(
        [uv, *command.split()[1:]], cwd=ROOT, capture_output=True, text=True, check=True,
        env={k: v for k, v in os.environ.items() if k != "VIRTUAL_ENV"},
    )  # fmt: skip
    remedy = f"run: {command} --output-file src/aideator/{requirements}"
    assert (ROOT / "src/aideator" / requirements).read_text() == done.stdout, remedy
    assert [name for name in needed if f"{name}==" not in done.stdout] == []
    assert [name for name in (*unneeded, "dagger-io") if f"{name}==" in done.stdout] == []
