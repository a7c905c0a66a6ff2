"""The examples run."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.gateways import Gateway

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_the_python_client(demo_gateway: Gateway, shared_repository: Path) -> None:
    done = subprocess.run(
        [
            sys.executable, str(EXAMPLES / "client.py"), shared_repository.as_uri(),
            "Improve it.", demo_gateway.url,
        ],
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "wins:\ndiff --git" in done.stdout
    refused = subprocess.run(
        [sys.executable, str(EXAMPLES / "client.py"), "git@x:y", "x", demo_gateway.url],
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "https://host/owner/repository" in refused.stderr


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_the_pages_script_parses(tmp_path: Path) -> None:
    page = (EXAMPLES / "watch.html").read_text()
    script = tmp_path / "watch.mjs"
    script.write_text(page.split("<script>")[1].split("</script>")[0])
    done = subprocess.run(
        ["node", "--check", str(script)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
