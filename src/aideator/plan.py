"""What a call asks for, checked as a whole before anything starts, and how it is carried out."""

import asyncio
import re
import secrets
from collections.abc import Awaitable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import get_args
from urllib.parse import urlsplit

import dagger
from dagger import Directory, Secret

from aideator.access import BROKER_URL, Access, ModelServer, access_to
from aideator.attempt import AttemptId, Checking, run_attempt
from aideator.containers import Command, bench, prepared, pulled
from aideator.errors import engine_message, unusable
from aideator.protocol import MODEL_HOST, EditorTool, ErrorCode, Limits, Task, check_server
from aideator.protocol.addresses import shown
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
    server: ModelServer
    run_key: Secret | None
    limits: Limits

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
        return BROKER_URL if self.run_key is None else self.server.base_url

    def access(self) -> AbstractAsyncContextManager[Awaitable[Access]]:
        """Return what gives agents their access to the model; to be entered first."""
        return access_to(self.server, self.run_id, run_key=self.run_key, image=self.base_image)

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


async def checked(
    server: ModelServer, *, editor_tool: str, run_key: Secret | None, run_id: str | None
) -> ModelServer:
    """Return a server as a caller named it, with the address that its service has.

    Raises
    ------
    FunctionError
        There is no server and no key, or one of them cannot be used.
    """
    if editor_tool not in get_args(EditorTool):
        raise unusable("editor_tool", f"{editor_tool!r} is neither native nor plain.")
    base_url = server.base_url
    if base_url is not None:
        try:
            check_server(base_url)
        except ValueError as error:
            raise unusable("base_url", f"{shown(base_url)!r:.200}: {error}.") from None
        if "@" in urlsplit(base_url).netloc:
            problem = f"{shown(base_url)!r:.200}: the engine's traces would show the password."
            raise unusable("base_url", problem)
    has_key = bool(server.api_key or server.auth_token)
    has_address = base_url is not None or server.service is not None
    if run_key is not None:
        _check_run_key(has_key=has_key, has_address=has_address, run_id=run_id)
    elif not has_address and not has_key:
        raise unusable(
            "api_key",
            "there is none; give --api-key=env://ANTHROPIC_API_KEY, or a model server of "
            "your own with --base-url or --model-service.",
            ErrorCode.MISSING_API_KEY,
        )
    if base_url is not None or server.service is None:
        return server
    try:
        # Only a service that runs says where; who goes there would start it a moment later.
        ports = await (await server.service.start()).ports()
    except dagger.QueryError as error:
        raise unusable("model_service", f"it cannot be started: {engine_message(error)}") from None
    if not ports:
        raise unusable("model_service", "it exposes no port; expose one, or give --base-url.")
    return replace(server, base_url=f"http://{MODEL_HOST}:{await ports[0].port()}")


def _check_run_key(*, has_key: bool, has_address: bool, run_id: str | None) -> None:
    if has_key:
        problem = "the broker that it opens has keys of its own; leave out api_key and auth_token."
        raise unusable("run_key", problem)
    if not has_address:
        problem = "say with --base-url or --model-service where the broker is that it opens."
        raise unusable("run_key", problem)
    if run_id is None:
        raise unusable("run_id", "name the run that run_key is the key of.")
