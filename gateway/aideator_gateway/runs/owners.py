"""Several gateways may work on one database: which of them a run belongs to, and who lives."""

from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from typing import Protocol


class Owners(Protocol):
    """The gateways on a database, of which this process is one.

    An owner is a gateway's id; ``None`` is one of a version that had none.
    """

    @property
    def me(self) -> str:
        """Id of this gateway, which no other ever has."""

    def dead(
        self, owners: Iterable[str | None]
    ) -> AbstractAsyncContextManager[frozenset[str | None]]:
        """Give those of ``owners`` that have died; nobody else recovers while the block runs."""

    async def cancel(self, owner: str | None, run_id: str) -> bool:
        """Have another gateway cancel its run and wait until it has; whether it answered."""
