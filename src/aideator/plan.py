"""What a call asks for, checked as a whole before anything starts, and how it is carried out."""

import asyncio
import re
import secrets
from collections.abc import Awaitable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from dagger import Directory, Secret

from aideator.access import BROKER_URL, Access, Servers, access_to
from aideator.attempt import AttemptId, Checking, run_attempt
from aideator.containers import Command, bench, prepared, pulled
from aideator.errors import unusable
from aideator.protocol import DEFAULT_PROVIDER, Limits, Task
from aideator.protocol.tokens import grant_for
from aideator.variation import Variation

_RUN_ID = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The part of a call that is the same for one variation and for several.

    Raises
    ------
    FunctionError
        An argument cannot be used.
    """

    run_id: str
    attempt: int
    events: str
    setup: Command | None
    check: Command | None
    check_image: str | None
    base_image: str
    servers: Servers
    run_key: Secret | None
    limits: Limits
    fixed_shares: bool

    def __post_init__(self) -> None:
        if not _RUN_ID.fullmatch(self.run_id):
            raise unusable("run_id", "use 1 to 64 letters, digits, - and _.")
        if self.attempt < 1:
            raise unusable(
                "attempt", f"{self.attempt} is below 1, where attempts are counted from."
            )
        if self.events not in ("text", "json"):
            raise unusable("events", f"{self.events!r} is neither text nor json.")
        if self.check_image and not self.check:
            raise unusable("check_image", "there is no check to run in it; give one with --check.")

    @property
    def broker_url(self) -> str | None:
        """Where agents send requests to."""
        given = self.run_key is not None
        return self.servers[DEFAULT_PROVIDER].base_url if given else BROKER_URL

    def access(self) -> AbstractAsyncContextManager[Awaitable[Access]]:
        """Return what gives agents their access to the model; to be entered first."""
        return access_to(
            self.servers,
            self.run_id,
            run_key=self.run_key,
            image=self.base_image,
            fixed_shares=self.fixed_shares,
        )

    async def carry_out(
        self,
        source: Directory,
        tasks: Sequence[Task],
        access: Awaitable[Access],
        first_id: int = 1,
    ) -> list[Variation]:
        """Run an agent for each task, all at once, on the same files.

        Parameters
        ----------
        source
            The repository's tree, without ``.git``.
        first_id
            The first task's variation id; the others count on from it.
        """
        base = await prepared(self.base_image)
        image = await pulled(self.check_image, "check_image") if self.check_image else None
        checking = Checking(self.check, image) if self.check else None
        start = await bench(base, source, self.setup)
        ready = await access
        return await asyncio.gather(
            *(
                run_attempt(
                    AttemptId(self.run_id, number, self.attempt),
                    task,
                    start,
                    ready,
                    grant_for(
                        task,
                        self.limits,
                        run=self.run_id,
                        variation=number,
                        variations=len(tasks),
                        attempt=self.attempt,
                    ),
                    events=self.events,
                    checking=checking,
                )
                for number, task in enumerate(tasks, first_id)
            )
        )


def new_run_id() -> str:
    """Return an id that no other run has."""
    return f"run_{secrets.token_hex(6)}"
