"""Which settings which models take, and what they need so that their thinking can be read.

From the pages of https://platform.claude.com/docs/en/build-with-claude/ (thinking, effort,
extended-thinking) and of each model, read on 2026-11-23. A model that is not listed is sent
exactly what the condition asks for, and its server judges it.
"""

from dataclasses import dataclass
from typing import Any

from aideator.agent.endings import Failed
from aideator.protocol.errors import ErrorCode
from aideator.protocol.task import Condition

_UNKNOWN_MAX_OUTPUT = 8_192
_KNOWN_MAX_OUTPUT = 32_000
_ALL = frozenset({"low", "medium", "high", "xhigh", "max"})
_NO_XHIGH = _ALL - {"xhigh"}
_FIRST = frozenset({"low", "medium", "high"})


@dataclass(frozen=True)
class Capabilities:
    """What one family of models takes."""

    adaptive: bool
    """Thinks by itself, and hides it unless asked for a summary."""
    budget: bool
    """Takes a thinking budget in tokens."""
    temperature: bool
    efforts: frozenset[str]


_NEWEST = Capabilities(adaptive=True, budget=False, temperature=False, efforts=_ALL)
_MODELS = {
    "claude-fable-5": _NEWEST,
    "claude-mythos-5": _NEWEST,
    "claude-opus-5": _NEWEST,
    "claude-sonnet-5": _NEWEST,
    "claude-haiku-5": _NEWEST,
    "claude-opus-4-8": _NEWEST,
    "claude-opus-4-7": _NEWEST,
    "claude-opus-4-6": Capabilities(True, True, True, _NO_XHIGH),
    "claude-sonnet-4-6": Capabilities(True, True, True, _NO_XHIGH),
    "claude-opus-4-5": Capabilities(False, True, True, _FIRST),
    "claude-sonnet-4-5": Capabilities(False, True, True, frozenset()),
    "claude-haiku-4-5": Capabilities(False, True, True, frozenset()),
}


def settings(model: str, condition: Condition) -> dict[str, Any]:
    """Return the settings that are sent for a model under a condition.

    Raises
    ------
    Failed
        The model is known not to take what the condition asks for. Leaving it out would
        compare conditions that were never applied.
    """
    known = next((c for name, c in _MODELS.items() if _is(model, name)), None)
    if known is not None:
        _check(model, known, condition)
    output = _UNKNOWN_MAX_OUTPUT if known is None else _KNOWN_MAX_OUTPUT
    result: dict[str, Any] = {}
    if condition.temperature is not None:
        result["temperature"] = condition.temperature
    if condition.effort is not None:
        result["output_config"] = {"effort": condition.effort}
    if condition.thinking_tokens is not None:
        result["thinking"] = {"type": "enabled", "budget_tokens": condition.thinking_tokens}
        output += condition.thinking_tokens
    elif known is not None and known.adaptive and condition.temperature is None:
        result["thinking"] = {"type": "adaptive", "display": "summarized"}
    return {"max_tokens": output, **result}


def _is(model: str, name: str) -> bool:
    return model == name or model.startswith(f"{name}-")


def _check(model: str, known: Capabilities, condition: Condition) -> None:
    if condition.temperature is not None and not known.temperature:
        raise _refused(f"{model} takes no temperature; set effort instead.")
    if condition.thinking_tokens is not None:
        if not known.budget:
            raise _refused(f"{model} takes no thinking_tokens; set effort instead.")
        if condition.temperature is not None:
            raise _refused("A temperature and thinking_tokens cannot be set together.")
    if condition.effort is not None and condition.effort not in known.efforts:
        levels = ", ".join(level for level in ("low", "medium", "high", "xhigh", "max")
                           if level in known.efforts)  # fmt: skip
        raise _refused(
            f"{model} takes no effort {condition.effort!r}; "
            + (f"use one of {levels}." if levels else "it has no such setting.")
        )


def _refused(message: str) -> Failed:
    return Failed(ErrorCode.INVALID_REQUEST, message)
