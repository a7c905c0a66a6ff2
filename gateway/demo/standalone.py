"""The scripted model on its own, for any client of the Messages API."""

import asyncio
import signal

import click

from gateway.demo.server import ScriptedModel
from gateway.demo.standin import TOKENS_PER_SECOND, DemoPlayer


def serve(
    host: str = "127.0.0.1", port: int = 0, tokens_per_second: float = TOKENS_PER_SECOND
) -> None:
    """Run the demo's stand-in until SIGINT or SIGTERM, and say where it listens.

    Raises
    ------
    OSError
        If it cannot listen there.
    ValueError
        If ``tokens_per_second`` is negative.
    """
    asyncio.run(_serve(host, port, DemoPlayer(tokens_per_second)))


async def _serve(host: str, port: int, player: DemoPlayer) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with ScriptedModel(player, host, port, record=False) as model:
        click.echo(f"Scripted demo, not an LLM: listening on {model.base_url}")
        await stop.wait()
