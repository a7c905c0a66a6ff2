"""``serve`` and ``scripted-model``: servers that run until they are told to end.

What they serve is imported only when they do, so that other commands start fast.
"""

import contextlib
import logging
import sys
from pathlib import Path
from typing import Any

import click

from aideator_gateway.command.cli.exits import FAILED
from aideator_gateway.command.cli.options import settings_options
from aideator_gateway.command.cli.output import Notes, say
from aideator_gateway.command.datadir import prepare, sole_owner
from aideator_gateway.settings import Settings, SettingsError


@click.command()
@settings_options()
def serve(**flags: Any) -> None:
    """Serve the HTTP API."""
    from aideator_gateway.command.serving import GatewayServer, check_port  # noqa: PLC0415

    settings = Settings.load(flags)
    prepare(settings.data_dir)
    with sole_owner(settings.data_dir):
        pass  # else it would be said in the middle of the log
    check_port(settings)
    log = logging.StreamHandler(sys.stderr)
    log.setFormatter(Notes("%(levelname)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[log])
    for chatty in ("httpx", "httpx2", "anthropic"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    if settings.demo:
        say("The model is a scripted demo, not an LLM: it costs nothing.", err=True)
    server = GatewayServer(settings, log_level="info")
    # Without a start, uvicorn exits with a code of its own.
    with contextlib.suppress(SystemExit):
        server.run()
    if isinstance(server.error, SettingsError):
        raise server.error
    if not server.started:
        sys.exit(FAILED)


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
