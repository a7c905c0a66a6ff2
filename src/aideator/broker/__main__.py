"""Start the broker. It listens before it imports the SDK; requests wait for that."""

import argparse
import asyncio
import contextlib
import logging
import os
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import ValidationError

from aideator.broker.app import Broker
from aideator.broker.keys import Keys, NoKeyError, accesses, forget_settings, key_of
from aideator.broker.pipes import MAX_LINE_BYTES, listen_to_stdin, speaker
from aideator.broker.server import (
    CannotListenError,
    Server,
    inherited,
    listen_on_path,
    listen_on_port,
)
from aideator.broker.upstream import Upstream, load, usable
from aideator.protocol.broker import BrokerConfig, Control
from aideator.protocol.findings import findings

logger = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None, stdin: BinaryIO = sys.stdin.buffer) -> int:
    """Serve until asked to stop; 2 if the broker cannot be started as it was asked to."""
    arguments = _parser().parse_args(argv)
    try:
        config = _config(arguments.config, stdin)
        wanted = "signing secret"
        secret = key_of(config.signing_secret)
        wanted = "control key"
        control_key = key_of(config.control_key) if config.control_key else None
        listeners = _listeners(arguments)
    except ValidationError as error:
        # Only where and why: what was given instead may be a key.
        wrong = " ".join(map(str, findings(error, BrokerConfig)))
        return _fail(f"The configuration is not valid. {wrong}")
    except NoKeyError as error:
        return _fail(f"There is no {wanted}: {error}")
    except (CannotListenError, OSError) as error:
        return _fail(str(error))
    logging.basicConfig(level=logging.INFO, format="broker: %(message)s")
    for noisy in ("httpx2", "httpcore2", "anthropic", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        own = Keys(secret, control_key)
        asyncio.run(_serve(config, own, listeners, watch_stdin=arguments.watch_stdin))
    finally:
        if arguments.socket:
            arguments.socket.unlink(missing_ok=True)
    return 0


def _fail(text: str) -> int:
    print(f"broker: {text}", file=sys.stderr)  # noqa: T201 - the command's own answer
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m aideator.broker", description=__doc__)
    parser.add_argument("--socket", type=Path, help="path of a Unix socket to listen on")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, help="0 takes a free one")
    parser.add_argument(
        "--fd", type=int, action="append", default=[], help="descriptor of a socket that listens"
    )
    parser.add_argument("--config", type=Path, help="file; else the first line of stdin")
    parser.add_argument("--watch-stdin", action="store_true", help="stop when stdin ends")
    return parser


def _config(file: Path | None, stdin: BinaryIO) -> BrokerConfig:
    data = file.read_bytes() if file else stdin.readline(MAX_LINE_BYTES)
    return BrokerConfig.model_validate_json(data)


def _listeners(arguments: argparse.Namespace) -> list[socket.socket]:
    if arguments.socket is None and arguments.port is None and not arguments.fd:
        raise CannotListenError("Say where to listen: --socket PATH, --port PORT or --fd N")
    found = [inherited(descriptor) for descriptor in arguments.fd]
    if arguments.port is not None:
        found.append(listen_on_port(arguments.host, arguments.port))
    if arguments.socket is not None:
        found.append(listen_on_path(arguments.socket))
    return found


async def _serve(
    config: BrokerConfig, own: Keys, listeners: list[socket.socket], *, watch_stdin: bool
) -> None:
    found = usable(accesses(config))
    forget_settings(os.environ)
    say = speaker()
    upstreams: asyncio.Future[dict[str, Upstream]] = asyncio.get_running_loop().create_future()
    broker = Broker(config, own, found, upstreams, say)
    server = Server(broker, config.bounds)

    def take(message: Control) -> None:
        broker.control(message)
        server.should_exit |= message.stop

    def ended() -> None:
        server.should_exit |= watch_stdin

    def failed(error: Exception) -> None:
        logger.error("cannot work: %s", error)
        server.should_exit = True

    listen_to_stdin(take, ended, say)
    _import_sdk(lambda: load(found, config.bounds), upstreams.set_result, failed)
    say(_ready(listeners, {name: access.problem for name, access in found.items()}))
    await server.serve(listeners)


def _import_sdk(
    work: Callable[[], dict[str, Upstream]],
    done: Callable[[dict[str, Upstream]], None],
    failed: Callable[[Exception], None],
) -> None:
    """Do it in a thread of its own, for which a stop does not wait."""
    loop = asyncio.get_running_loop()

    def run() -> None:
        with contextlib.suppress(RuntimeError):  # The loop is closed: the broker ends.
            try:
                clients = work()
            except Exception as error:  # noqa: BLE001 - whatever it is, nothing can be asked
                loop.call_soon_threadsafe(failed, error)
            else:
                loop.call_soon_threadsafe(done, clients)

    threading.Thread(target=run, daemon=True).start()


def _ready(listeners: list[socket.socket], providers: dict[str, str | None]) -> dict[str, Any]:
    ready: dict[str, Any] = {"ready": True, "socket": None, "port": None, "providers": providers}
    for listener in listeners:
        name = listener.getsockname()
        if listener.family == socket.AF_UNIX:
            ready["socket"] = name
        else:
            ready["port"] = name[1]
    return ready


if __name__ == "__main__":
    exit_code = main()
    sys.stderr.flush()
    # What would follow is up to a second of taking modules apart.
    os._exit(exit_code)
