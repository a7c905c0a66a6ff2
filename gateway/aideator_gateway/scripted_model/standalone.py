"""The scripted model on its own, for any client of the Messages API."""

import asyncio
import signal

import click

from aideator_gateway.scripted_model.player import Player
from aideator_gateway.scripted_model.server import ScriptedModel


def serve(player: Player, what: str, host: str = "127.0.0.1", port: int = 0) -> None:
    """Run the scripted model until SIGINT or SIGTERM, and say where it listens.

    Parameters
    ----------
    what
        What is played, in words for the line that says so.

    Raises
    ------
    OSError
        If it cannot listen there.
    """
    asyncio.run(_serve(player, what, host, port))


async def _serve(player: Player, what: str, host: str, port: int) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with ScriptedModel(player, host, port, record=False) as model:
        click.echo(f"{what}, not an LLM: listening on {model.base_url}")
        await stop.wait()
