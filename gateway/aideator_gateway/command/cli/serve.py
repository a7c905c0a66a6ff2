"""``serve`` and ``scripted-model``: servers that run until they are told to end.

What they serve is imported only when they do, so that other commands start fast.
"""

import asyncio
import signal
from pathlib import Path
from typing import Any

import click

from aideator_gateway.command.cli.logs import log_as_set
from aideator_gateway.command.cli.options import settings_options
from aideator_gateway.settings import Settings


@click.command()
@settings_options()
def serve(**flags: Any) -> None:
    """Serve the HTTP API."""
    from aideator_gateway.command.serving import serve as serve_gateway  # noqa: PLC0415

    settings = Settings.load(flags)
    log_as_set(settings)
    number = asyncio.run(serve_gateway(settings))
    if number is not None:
        # It is all closed; whoever started this process is to see what ended it.
        signal.raise_signal(number)


@click.command("scripted-model")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=4400, show_default=True,
    help="Port to listen on; 0 takes a free one.",
)  # fmt: skip
@click.option(
    "--tokens-per-second", type=click.FloatRange(min=0), default=25.0, show_default=True,
    help="Pace of each stream; 0 for no pause.",
)  # fmt: skip
@click.option(
    "--play", "transcript", metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path),
    help="A transcript to play back, in place of the demo and without pauses.",
)  # fmt: skip
def scripted_model(host: str, port: int, tokens_per_second: float, transcript: Path | None) -> None:
    """Serve the scripted demo model alone: it speaks the Messages API and is no LLM."""
    from aideator_gateway.demo.standin import DemoPlayer  # noqa: PLC0415
    from aideator_gateway.scripted_model.playback import TranscriptPlayer  # noqa: PLC0415
    from aideator_gateway.scripted_model.player import Player  # noqa: PLC0415
    from aideator_gateway.scripted_model.standalone import serve as serve_scripted  # noqa: PLC0415

    player: Player
    try:
        if transcript is None:
            player, what = DemoPlayer(tokens_per_second), "Scripted demo"
        else:
            player, what = TranscriptPlayer.from_file(transcript), f"Playback of {transcript}"
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--play") from None
    try:
        serve_scripted(player, what, host, port)
    except OSError as error:
        raise click.ClickException(
            f"Cannot listen on {host} port {port} ({error.strerror}): stop what uses it, or name "
            "another with --port (0 takes a free one)."
        ) from None
