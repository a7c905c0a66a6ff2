"""The README is true: every block that can run offline runs."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.gateways import environment, serving

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
BLOCK = re.compile(r"(?:<!-- (?P<note>.*?) -->\n)?```sh\n(?P<code>.*?)```", re.DOTALL)

SKIPPED = {
    "needs a key": "there is no key and no network in tests",
    "starts a server": "the test below starts the same server",
    "needs an engine": "tests/engine runs the module where an engine can be reached",
}


def blocks() -> list[tuple[str | None, str]]:
    return [(match["note"], match["code"]) for match in BLOCK.finditer(README)]


def test_every_skipped_block_has_a_known_reason() -> None:
    assert {note for note, _ in blocks() if note} <= set(SKIPPED)
    assert len([note for note, _ in blocks() if note is None]) >= 4


def test_the_server_block_is_the_command_the_tests_start() -> None:
    served = next(code for note, code in blocks() if note == "starts a server")
    assert served.split()[:4] == [".venv/bin/aideator", "serve", "--demo", "--allow-file"]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_blocks_run_in_order(tmp_path: Path) -> None:
    runnable = [code for note, code in blocks() if note is None]
    # `make test` would start this test again.
    script = "set -eu\n" + "\n".join(runnable).replace("make test ", "true ")
    flags = ("--demo", "--allow-file", "--backend", "local", "--demo-tokens-per-second", "300")
    with serving(tmp_path / "data", *flags) as gateway:
        script = script.replace("http://127.0.0.1:8000", gateway.url)
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=ROOT,
            env=environment(AIDEATOR_DEMO_TOKENS_PER_SECOND="300"),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Winner: variation" in done.stdout
        assert "event: end" in done.stdout
        assert '"status":"success"' in done.stdout.replace(" ", "")
        run = gateway.http.get("/runs").json()["runs"][0]
        assert run["winning_variation_id"] == 1


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
)
def test_links_to_files_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
