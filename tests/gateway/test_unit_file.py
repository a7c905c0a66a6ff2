"""The unit of systemd is one that systemd understands, and starts the command as it is."""

import re
import shutil
import subprocess
from pathlib import Path

import click
import pytest

from aideator_gateway.command.cli.serve import serve

UNIT = Path(__file__).parents[2] / "examples" / "deploy" / "aideator.service"


def test_the_unit_starts_the_command_with_flags_that_it_has() -> None:
    line = re.search(r"^ExecStart=\S+/aideator serve (.*)$", UNIT.read_text(), re.MULTILINE)
    assert line is not None
    context = serve.make_context("serve", line[1].split())
    assert isinstance(context, click.Context)
    assert context.params["log_format"] == "json"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is missing")
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    # It looks for the program, which is not where the unit expects it.
    text = UNIT.read_text().replace("/opt/aideator/.venv/bin/aideator", "/usr/bin/env")
    unit = tmp_path / "aideator.service"
    unit.write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    unit.write_text(text.replace("LockPersonality=yes", "LockPersonality=perhaps"))
    wrong = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert "perhaps" in wrong.stderr
