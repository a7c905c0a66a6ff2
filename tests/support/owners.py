"""A scripted twin of the gateways on a database: this one, and others that are said to live."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class ScriptedOwners:
    """One gateway; whoever is not in ``living`` has died."""

    me: str = "gw_me"
    living: set[str | None] = field(default_factory=set)
    asked: list[tuple[str | None, str]] = field(default_factory=list)
    """Owner and run of each call to cancel one."""

    @asynccontextmanager
    async def dead(self, owners: Iterable[str | None]) -> AsyncIterator[frozenset[str | None]]:
        """Give those that have died."""
        yield frozenset(owners) - self.living - {self.me}

    async def cancel(self, owner: str | None, run_id: str) -> bool:
        """Keep what was asked, and say whether the owner lives."""
        self.asked.append((owner, run_id))
        return owner in self.living
