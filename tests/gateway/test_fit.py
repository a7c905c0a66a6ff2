"""Which runs a serving gateway may carry out for a command."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from aideator_gateway.command.fit import differences, shared_settings
from aideator_gateway.runs.model import Readiness
from aideator_gateway.settings import Settings

KEY = {"ANTHROPIC_API_KEY": "one"}
SERVER = {"base_url": "http://127.0.0.1:1"}
PACE = {"demo": True, "demo_tokens_per_second": 5.0}

Told = tuple[Mapping[str, Any], Mapping[str, str]]
"""Flags and variables."""

NOTHING: Told = ({}, {})


def settings_of(told: Told) -> Settings:
    return Settings.load({**told[0], "data_dir": Path("/nowhere")}, told[1])


def found(ours: Told, theirs: Told) -> list[str]:
    serving = settings_of(theirs)
    ready = Readiness(
        ready=True, backend="local", isolation=None, reason="", scripted=serving.demo, model="m"
    )
    flags, environ = ours
    _, sources = Settings.gather(flags, environ)
    return differences(settings_of(ours), sources, flags, shared_settings(serving), ready)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (NOTHING, NOTHING),
        (NOTHING, (SERVER, KEY)),
        ((SERVER, {}), (SERVER, KEY)),
        (({}, KEY), ({}, {"ANTHROPIC_API_KEY": "another"})),
        (({"backend": "local"}, {}), NOTHING),
        (({"backend": "auto"}, {}), NOTHING),
        (({"model": "a", "max_run_cost_usd": 1.0}, {}), ({"model": "b"}, {})),
        (({}, {"AIDEATOR_MODEL": "a"}), ({"model": "a"}, {})),
        (({"allow_host": ("a.example",)}, {}), ({"allow_host": ("a.example", "b.example")}, {})),
        (({"demo": True}, {**KEY, "AIDEATOR_MODEL": "a"}), (PACE, {})),
        ((PACE, {}), (PACE, {})),
        (NOTHING, ({"allow_file": True}, {})),
    ],
)
def test_what_was_not_told_or_is_the_same_fits(ours: Told, theirs: Told) -> None:
    assert found(ours, theirs) == []


@pytest.mark.parametrize(
    ("ours", "theirs", "names"),
    [
        (({"demo": True}, {}), NOTHING, ["--demo"]),
        (({}, {"AIDEATOR_DEMO": "1"}), NOTHING, ["AIDEATOR_DEMO"]),
        (NOTHING, ({"demo": True}, {}), ["--demo"]),
        (({}, KEY), ({"demo": True}, {}), ["--demo"]),
        (({}, KEY), NOTHING, ["ANTHROPIC_API_KEY"]),
        (({}, KEY), (SERVER, KEY), ["ANTHROPIC_API_KEY"]),
        ((SERVER, {}), ({}, KEY), ["--base-url"]),
        (({"backend": "dagger"}, {}), NOTHING, ["--backend"]),
        (({}, {"AIDEATOR_BACKEND": "dagger"}), NOTHING, ["AIDEATOR_BACKEND"]),
        (({"editor_tool": "plain", "module": "m"}, {}), NOTHING, ["--module", "--editor-tool"]),
        (({"allow_file": True}, {}), NOTHING, ["--allow-file"]),
        (({"allow_host": ("a.example",)}, {}), NOTHING, ["--allow-host"]),
        # Only what flags say of these goes with the request.
        (({}, {"AIDEATOR_MODEL": "a"}), NOTHING, ["AIDEATOR_MODEL"]),
        (
            ({}, {"AIDEATOR_MAX_RUN_COST_USD": "0.5"}), NOTHING, ["AIDEATOR_MAX_RUN_COST_USD"],
        ),
        ((PACE, {}), ({"demo": True}, {}), ["--demo-tokens-per-second"]),
    ],
)  # fmt: skip
def test_what_was_told_and_is_not_the_same_is_named(
    ours: Told, theirs: Told, names: list[str]
) -> None:
    assert found(ours, theirs) == names


def test_no_key_is_told_to_others() -> None:
    told = shared_settings(settings_of((SERVER, {**KEY, "AIDEATOR_TOKEN": "secret"})))
    assert told["has_credentials"] is True
    assert not {"api_key", "auth_token", "token"} & told.keys()
