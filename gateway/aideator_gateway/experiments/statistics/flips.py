"""Tasks that one condition does and the other does not."""

from pydantic import BaseModel, ConfigDict

from aideator_gateway.experiments.statistics.estimate import Groups


class Flips(BaseModel):
    """Places, in the order of the tasks, of those that flip."""

    model_config = ConfigDict(frozen=True)

    gained: list[int]
    lost: list[int]


def flips(first: Groups, second: Groups) -> Flips:
    """Return which tasks flip from the first condition to the second.

    A task is gained where fewer than half of the first condition's attempts pass and more than
    half of the second's; lost is the reverse. It counts what was seen and says
    nothing of chance: one attempt each flips easily.
    """
    gained, lost = [], []
    for number, (before, after) in enumerate(zip(first, second, strict=True)):
        if not before or not after:
            continue
        a, b = sum(before) / len(before), sum(after) / len(after)
        if a < 0.5 < b:
            gained.append(number)
        elif b < 0.5 < a:
            lost.append(number)
    return Flips(gained=gained, lost=lost)
