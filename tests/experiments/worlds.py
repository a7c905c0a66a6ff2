"""Worlds whose truth is known: tasks of differing difficulty, and conditions that try them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv, ndtr

from aideator_gateway.experiments.statistics.estimate import Groups
from aideator_gateway.experiments.statistics.power import Variation

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class World:
    """How tasks are made.

    Attributes
    ----------
    concentration
        Of the beta distribution of a condition's pass rates over tasks: 10 is tasks that hardly
        differ, 1 is tasks that nearly all attempts pass, or nearly none.
    agreement
        How much what is hard for one condition is hard for the others, from 0 to 1.
    """

    concentration: float
    agreement: float

    def rates(self, means: Sequence[float], tasks: int, random: np.random.Generator) -> Floats:
        """Return a pass rate for each condition and task."""
        common = random.standard_normal(tasks)
        own = random.standard_normal((len(means), tasks))
        latent = self.agreement * common + np.sqrt(1 - self.agreement**2) * own
        a = self.concentration * np.array(means)[:, None]
        return np.asarray(betaincinv(a, self.concentration - a, ndtr(latent)), dtype=float)

    def experiments(
        self, means: Sequence[float], *, tasks: int, repeats: int, draws: int, seed: int
    ) -> Iterator[list[Groups]]:
        """Give the outcomes of many experiments: ones and zeros by condition and task."""
        random = np.random.default_rng(seed)
        for _ in range(draws):
            rates = self.rates(means, tasks, random)
            passed = random.random((*rates.shape, repeats)) < rates[:, :, None]
            yield passed.astype(float).tolist()

    def variation(self, first: float, second: float) -> Variation:
        """Return how much two conditions of these means really vary."""
        rates = self.rates((first, second), 60_000, np.random.default_rng(1))
        within = float(np.mean(rates * (1 - rates)) * 2)
        return Variation(between=float(np.var(rates[1] - rates[0])), within=within)


ALIKE = World(10, 1.0)
WIDE = World(3, 0.6)
EXTREME = World(1, 0.5)
