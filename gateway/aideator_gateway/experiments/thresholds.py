"""What an experiment has to reach, where a build is to fail if it does not."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from aideator_gateway.experiments.definition import Experiment


class ThresholdError(Exception):
    """A threshold cannot be used; the text says why."""


@dataclass(frozen=True)
class Thresholds:
    """What has to be reached.

    Attributes
    ----------
    least
        Least share of checks that has to pass, by condition.
    no_worse_than
        Conditions that no other one may be worse than, beyond chance.
    """

    least: dict[str, float]
    no_worse_than: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is anything to reach."""
        return bool(self.least or self.no_worse_than)

    @property
    def _named(self) -> Iterator[str]:
        yield from self.least
        yield from self.no_worse_than

    @classmethod
    def of(
        cls, experiment: Experiment, rates: Sequence[str], no_worse_than: Sequence[str]
    ) -> "Thresholds":
        """Read thresholds as a command is given them.

        Parameters
        ----------
        rates
            ``0.7`` for every condition, or ``LABEL=0.7``, which goes before that.
        no_worse_than
            Names of conditions.

        Raises
        ------
        ThresholdError
            If one says nothing, or of what is not there.
        """
        names = [condition.name or "" for condition in experiment.conditions]
        least: dict[str, float] = {}
        # A label's own goes before what is said of all.
        for given in sorted(rates, key=lambda text: "=" in text):
            name, named, number = given.rpartition("=")
            rate = _share(number)
            if rate is None:
                raise ThresholdError(
                    f"{given!r} is no pass rate: give a number from 0 to 1, or LABEL=NUMBER."
                )
            least |= dict.fromkeys([name] if named else names, rate)
        found = cls(least, tuple(dict.fromkeys(no_worse_than)))
        for name in found._named:
            if name not in names:
                known = ", ".join(map(repr, names))
                raise ThresholdError(f"There is no condition {name!r}; there are {known}.")
        if found and not any(task.check for task in experiment.tasks):
            raise ThresholdError("No task has a check, so nothing passes: there is no threshold.")
        if found.no_worse_than and len(names) < 2:
            raise ThresholdError("There is one condition: nothing could be worse than it.")
        return found


def _share(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 <= number <= 1 else None
