"""What variations may spend, and have spent, in US dollars."""

from dataclasses import dataclass, field

from aideator.protocol.broker import Of, Spent
from aideator.protocol.tokens import Grant


@dataclass
class _Run:
    spent: dict[int, float] = field(default_factory=dict)
    ended: set[int] = field(default_factory=set)


class Pot:
    """Adds up what variations spend.

    An attempt's even share of its run's cap stays its own. What ended attempts left over is
    divided evenly among those that still work. Whoever went over its allowance by an answer
    took that from what is left over, never from a sibling's share.

    Parameters
    ----------
    fixed
        What is left over stays unused.
    """

    def __init__(self, *, fixed: bool = False) -> None:
        self._fixed = fixed
        self._runs: dict[str, _Run] = {}

    def restore(self, spent: Spent) -> None:
        """Note what was spent before this broker began."""
        self.add(spent, spent.usd)

    def add(self, who: Of | Grant, usd: float) -> None:
        """Note what an answer cost."""
        run = self._runs.setdefault(who.run, _Run())
        run.spent[who.variation] = run.spent.get(who.variation, 0.0) + usd

    def end(self, who: Of) -> None:
        """Share what an attempt that has ended left over."""
        self._runs.setdefault(who.run, _Run()).ended.add(who.variation)

    def spent(self, who: Of | Grant) -> float:
        """Return what a variation has spent."""
        run = self._runs.get(who.run)
        return run.spent.get(who.variation, 0.0) if run else 0.0

    def allowance(self, grant: Grant) -> float | None:
        """Return what a variation may spend in all, or ``None`` if that is not limited."""
        caps = [cap for cap in (self._part(grant), grant.max_usd) if cap is not None]
        return min(caps, default=None)

    def _part(self, grant: Grant) -> float | None:
        share = grant.share_usd
        run = self._runs.get(grant.run)
        if share is None or self._fixed or run is None or not run.ended:
            return share
        left = sum(share - run.spent.get(variation, 0.0) for variation in run.ended)
        working = max(1, grant.variations - len(run.ended - {grant.variation}))
        return share + max(0.0, left) / working

    def forget(self, run: str) -> None:
        """Drop a run whose tokens are no longer valid."""
        self._runs.pop(run, None)
