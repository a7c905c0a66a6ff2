"""Agents of known quality: a scripted model that answers well as often as it is told to."""

import re
from collections import Counter

from aideator_gateway.scripted_model.player import Request
from aideator_gateway.scripted_model.script import Reply, Text, TokenCounts, ToolUse
from tests.tasks.steps import create

CHECK = "grep -qx good answer.txt"
"""Passes on a good answer."""

_QUALITY = re.compile(r"QUALITY (\d+)")


def quality(percent: int) -> str:
    """Return instructions for an agent that answers well in so many of 100 attempts."""
    return f"QUALITY {percent}"


class KnownQuality:
    """Answers in two turns: a file that is good or bad, then the end.

    Of ten attempts of one quality at one prompt exactly the tenth part of the percentage is good,
    evenly spread.

    Parameters
    ----------
    tokens
        Input tokens of a turn, which decide what it costs.
    first
        What else is done in the first turn.
    """

    def __init__(self, tokens: int = 5_000, *first: ToolUse) -> None:
        self._tokens = tokens
        self._first = first
        self._made: Counter[tuple[str, str]] = Counter()
        self.answers = 0
        """How many turns were asked for."""

    def reply(self, request: Request) -> Reply:
        """Return the turn that follows on the conversation so far."""
        self.answers += 1
        counts = TokenCounts(self._tokens, 100)
        if len(request.messages) > 1:
            return [Text("Done."), counts]
        found = _QUALITY.search(str(request.body.get("system")))
        assert found, "an agent was told nothing of its quality"
        which = (found[1], str(request.messages[0]["content"]))
        number, share = self._made[which], int(found[1]) / 100
        self._made[which] += 1
        good = int((number + 1) * share + 1e-9) > int(number * share + 1e-9)
        answer = create("answer.txt", "good\n" if good else "bad\n")
        return [Text("I answer."), *self._first, answer, counts]
