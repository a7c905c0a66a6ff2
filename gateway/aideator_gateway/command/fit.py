"""Whether a run of these settings may go to the gateway that serves the data directory.

What a command was told, by flags or variables, has to hold there; what it was not told is as
that gateway has it. Only whether the model is real has to agree in any case: a run that was
meant to cost nothing never goes to a model that does, nor the other way round.
"""

from collections.abc import Mapping
from typing import Any

from aideator_gateway.runs.model import Readiness
from aideator_gateway.settings import Settings

_MODEL_SERVER = ("base_url", "api_key", "auth_token")
_BY_REQUEST = ("model", "max_run_cost_usd")
"""What flags say of these goes with the request."""

_SHARED = (
    "demo_tokens_per_second", "module", "base_url", "editor_tool", "model", "max_run_cost_usd",
    "fixed_shares", "max_day_cost_usd", "config_file", "allow_file", "allow_host",
)  # fmt: skip


def shared_settings(settings: Settings) -> dict[str, Any]:
    """Return what a gateway lets commands know of its settings: no key, but whether it has one."""
    shared = settings.model_dump(mode="json", include=set(_SHARED))
    return {**shared, "has_credentials": settings.has_credentials}


def differences(
    settings: Settings,
    sources: Mapping[str, str],
    flags: Mapping[str, Any],
    theirs: Mapping[str, Any],
    ready: Readiness,
) -> list[str]:
    """Return the flags and variables that the serving gateway cannot follow.

    Parameters
    ----------
    settings
        Of the command.
    sources
        The flag or variable that set each of those which are set.
    flags
        Those given to the command.
    theirs
        What the gateway was started with, from ``shared_settings``.
    ready
        What it answers for itself.
    """
    if settings.demo != ready.scripted:
        return [sources.get("demo", "--demo")]
    ours = shared_settings(settings)
    same = ["module", "demo_tokens_per_second"] if settings.demo else ["module", "editor_tool"]
    same += ["fixed_shares", "max_day_cost_usd"]
    if not settings.demo:
        same += ["config_file", *(n for n in _BY_REQUEST if flags.get(n) is None)]
    found = [sources[name] for name in same if name in sources and ours[name] != theirs.get(name)]
    if "backend" in sources and settings.backend not in ("auto", ready.backend):
        found.append(sources["backend"])
    if settings.allow_file and not theirs.get("allow_file"):
        found.append(sources.get("allow_file", "--allow-file"))
    if set(settings.allow_host) - set(theirs.get("allow_host", ())):
        found.append(sources["allow_host"])
    asked = [sources[name] for name in _MODEL_SERVER if name in sources]
    if asked and not settings.demo and not _same_server(ours, theirs):
        found.append(asked[0])
    return found


def _same_server(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> bool:
    missing = ours["has_credentials"] and not theirs.get("has_credentials")
    return ours["base_url"] == theirs.get("base_url") and not missing
