"""The scripted model on its own, for any client of the Messages API."""

import asyncio
import signal
from pathlib import Path

import click

from gateway.demo.playback import TranscriptPlayer
from gateway.demo.player import Player
from gateway.demo.server import ScriptedModel
from gateway.demo.standin import TOKENS_PER_SECOND, DemoPlayer


def serve(
    host: str = "127.0.0.1",
    port: int = 0,
    tokens_per_second: float = TOKENS_PER_SECOND,
    transcript: Path | None = None,
) -> None:
    """Run the demo's stand-in until SIGINT or SIGTERM, and say where it listens.

    Parameters
    ----------
    transcript
        Played back in place of the demo, each turn without its pauses.

    Raises
    ------
    OSError
        If it cannot listen there, or the transcript cannot be read.
    ValueError
        If ``tokens_per_second`` is negative, or no model's turn is in the transcript.
    """
    if transcript is None:
        asyncio.run(_serve(host, port, DemoPlayer(tokens_per_second), "Scripted demo"))
    else:
        player = TranscriptPlayer.from_file(transcript)
        asyncio.run(_serve(host, port, player, f"Playback of {transcript}"))


async def _serve(host: str, port: int, player: Player, what: str) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with ScriptedModel(player, host, port, record=False) as model:
        click.echo(f"{what}, not an LLM: listening on {model.base_url}")
        await stop.wait()
