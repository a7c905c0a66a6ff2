"""How often a condition is chosen."""

from collections.abc import Iterable

from aideator_gateway.experiments.statistics.choices import Choice
from aideator_gateway.experiments.statistics.estimate import Estimate
from aideator_gateway.experiments.statistics.pass_rate import pass_rate


def win_rate(choices: Iterable[Choice], condition: int) -> Estimate | None:
    """Return the share of a condition's comparisons that it won, ``None`` without any.

    A tie is half a win. The interval is that of a pass rate, for it is the same question: it
    knows that choices at one task belong together.
    """
    scores: dict[int, list[float]] = {}
    for choice in choices:
        if choice.first == condition:
            scores.setdefault(choice.task, []).append(choice.score)
        if choice.second == condition:
            scores.setdefault(choice.task, []).append(1 - choice.score)
    return pass_rate(list(scores.values()))
