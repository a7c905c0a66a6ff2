"""Records of preference data, in the conversational formats of TRL."""

import json
from collections import OrderedDict
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

from aideator_gateway.preferences.conversation import Conversation, Message
from aideator_gateway.preferences.preference import Attempt, Origin, Preference
from aideator_gateway.preferences.without_files import without_files

Transcript = Callable[[str, int], Iterable[bytes]]
"""Gives the lines of a variation's transcript."""

TOOLS = Path(__file__).with_name("tools.json")

_REMEMBERED = 8
"""Conversations kept at hand: an attempt is in several pairs."""


class Records:
    """Makes records out of preferences.

    Parameters
    ----------
    transcript
        Of an attempt.
    files
        Whether what is in files is kept.
    thinking
        Whether the model's thinking is kept.
    """

    def __init__(self, transcript: Transcript, *, files: bool, thinking: bool) -> None:
        self._transcript = transcript
        self._files = files
        self._thinking = thinking
        self._known: OrderedDict[tuple[str, int], list[Message]] = OrderedDict()

    def paired(self, preference: Preference) -> dict[str, Any] | None:
        """Return a record with ``chosen`` and ``rejected``, ``None`` if an attempt said nothing."""
        chosen, rejected = self._messages(preference.chosen), self._messages(preference.rejected)
        if not chosen or not rejected:
            return None
        return {
            "prompt": _prompt(preference.chosen),
            "chosen": chosen,
            "rejected": rejected,
            "tools": tools(),
            "metadata": {
                **_origin(preference.chosen, preference.origin),
                "chosen": _facts(preference.chosen),
                "rejected": _facts(preference.rejected),
            },
        }

    def unpaired(self, attempt: Attempt, origin: Origin) -> dict[str, Any] | None:
        """Return a record with ``completion`` and ``label``, ``None`` if it said nothing."""
        messages = self._messages(attempt)
        if not messages:
            return None
        return {
            "prompt": _prompt(attempt),
            "completion": messages,
            "label": bool(attempt.passed),
            "tools": tools(),
            "metadata": {**_origin(attempt, origin), "attempt": _facts(attempt)},
        }

    def _messages(self, attempt: Attempt) -> list[Message]:
        key = (attempt.run.run_id, attempt.variation.variation_id)
        if key not in self._known:
            conversation = Conversation.of(self._transcript(*key), thinking=self._thinking)
            messages = conversation.messages()
            self._known[key] = messages if self._files else without_files(messages)
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return self._known[key]


@cache
def tools() -> list[dict[str, Any]]:
    """Return the tools that every attempt has, as chat templates take them."""
    found: list[dict[str, Any]] = json.loads(TOOLS.read_text(encoding="utf-8"))
    return found


def _prompt(attempt: Attempt) -> list[Message]:
    return [{"role": "user", "content": attempt.run.prompt}]


def _origin(attempt: Attempt, origin: Origin) -> dict[str, Any]:
    return {
        "repository": attempt.run.github_url,
        "commit": attempt.run.commit,
        "source": origin.source,
        "time": origin.time.isoformat() if origin.time else None,
        "experiment": origin.experiment,
        "task": origin.task,
        "judge": origin.judge,
    }


def _facts(attempt: Attempt) -> dict[str, Any]:
    run, variation = attempt.run, attempt.variation
    check = variation.check
    return {
        "run": run.run_id,
        "variation": variation.variation_id,
        "model": variation.condition.model or run.model,
        "scripted": run.scripted,
        "condition": variation.condition.name,
        "stop_reason": variation.stop_reason,
        "check": check.status if check else None,
    }
