"""The server keeps to the API's description, whatever it is sent."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.gateways import environment, serving

COPY = Path(__file__).parents[2] / "docs" / "openapi.json"

SCHEMATHESIS = str(Path(sys.executable).with_name("schemathesis"))

# Every check that schemathesis has is on, but for these.
CONFIG = """
# What no schema says: which hosts and styles there are, that conditions are as many as
# variations, that a server without bubblewrap runs no checks.
[[operations]]
include-name = "POST /runs"
[operations.checks]
positive_data_acceptance.enabled = false

# The run is there; it is a variation of that number that is not.
[[operations]]
include-name = [
  "POST /runs/{run_id}/select",
  "GET /runs/{run_id}/variations/{variation_id}/patch",
  "GET /runs/{run_id}/variations/{variation_id}/transcript",
]
[operations.checks]
ensure_resource_availability.enabled = false

# It holds each event against the schema, which in OpenAPI 3.1 is that of the whole text.
[[operations]]
include-name = "GET /runs/{run_id}/stream"
[operations.checks]
response_schema_conformance.enabled = false
"""


def attack(tmp_path: Path, *, seed: int, examples: int, phases: str) -> None:
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG)
    flags = ("--demo", "--backend", "local", "--demo-tokens-per-second", "1000")
    with serving(tmp_path / "data", *flags) as gateway:
        done = subprocess.run(
            [
                SCHEMATHESIS, "--config-file", str(config), "run", str(COPY), "--url", gateway.url,
                "--seed", str(seed), "--max-examples", str(examples), "--phases", phases,
                "--generation-database", "none", "--request-timeout", "60", "--no-color",
            ],
            cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=800,
            check=False,
        )  # fmt: skip
        print(done.stdout)  # noqa: T201 - how many cases there were, for who asks with -s
        assert done.returncode == 0, done.stdout + done.stderr
        # What it left can be read: nothing that was taken breaks the list.
        assert gateway.http.get("/runs", params={"limit": 200}).status_code == 200
    assert "Traceback" not in gateway.log.read_text()


def test_one_seed(tmp_path: Path) -> None:
    attack(tmp_path, seed=1, examples=25, phases="examples,coverage,fuzzing")


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(1, 11))
def test_ten_seeds_and_chains_of_calls(tmp_path: Path, seed: int) -> None:
    attack(tmp_path, seed=seed, examples=100, phases="examples,coverage,fuzzing,stateful")
