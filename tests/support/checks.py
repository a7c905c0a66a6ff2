"""Checks of results: gateways that run them, and what the check of one variation said."""

from typing import Any

import pytest

from tests.support.gateways import Gateway

DEMO = (
    "--demo", "--backend", "local", "--allow-file", "--demo-tokens-per-second", "1000",
)  # fmt: skip


def need_bubblewrap(gateway: Gateway) -> None:
    """Skip the test where checks have no sandbox; never start a hostile one without."""
    if gateway.http.get("/readyz").json()["isolation"] != "bubblewrap":
        pytest.skip("bubblewrap does not work here")


def guarded(gateway: Gateway, command: str) -> str:
    """Return a check that does nothing where it can see what only this machine has."""
    return f"test ! -e {gateway.data_dir / 'server.json'} || exit 99\n{command}"


def check_of(run: dict[str, Any], variation_id: int = 1) -> dict[str, Any]:
    """Return what the check said about one variation."""
    found: dict[str, Any] = run["variations"][variation_id - 1]["check"]
    return found
