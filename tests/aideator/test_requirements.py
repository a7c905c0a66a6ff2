"""What is installed for the agent is what the lock file says."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
COMMAND = (
    "uv export --frozen --no-dev --no-emit-project --no-header --no-annotate "
    "--prune anthropic --prune dagger-io --prune gql --quiet"
)
REQUIREMENTS = ROOT / "src/aideator/requirements.txt"


def test_the_agents_packages_are_those_of_the_lock_file() -> None:
    uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    done = subprocess.run(
        [uv, *COMMAND.split()[1:]], cwd=ROOT, capture_output=True, text=True, check=True,
        env={k: v for k, v in os.environ.items() if k != "VIRTUAL_ENV"},
    )  # fmt: skip
    remedy = f"run: {COMMAND} --output-file {REQUIREMENTS.relative_to(ROOT)}"
    assert REQUIREMENTS.read_text() == done.stdout, remedy
    assert "httpx2==" in done.stdout
    assert not [name for name in ("anthropic", "dagger-io") if f"{name}==" in done.stdout]
