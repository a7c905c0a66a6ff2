"""A program that has everything loaded, and becomes the command or the broker as often as asked.

Most of what either costs is Python's start and its imports. Here they are done once: each is a
process of its own all the same, with its own directory, environment and files.
"""

import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import socket
import sys
from collections.abc import Callable

import aideator_gateway

# What is loaded only when it is used, or by name.
LATE = (
    "aideator_gateway.command.assembly", "aideator_gateway.command.experiment_gateway",
    "aideator_gateway.command.serving", "aideator_gateway.experiments.runner", "aiosqlite",
    "concurrent.futures.thread", "encodings.idna", "httpcore", "rich.console", "rich.markup",
    "rich.progress", "rich.syntax", "rich.table", "sqlalchemy.dialects.sqlite.aiosqlite",
    "swagger_ui", "uvicorn.lifespan.off", "uvicorn.lifespan.on", "uvicorn.loops.auto",
    "uvicorn.protocols.http.auto", "uvicorn.protocols.websockets.auto",
)  # fmt: skip
PACKAGES = ("backends", "command", "hosting", "http", "runs")


def command() -> Callable[[], object]:
    """Import what commands need."""
    for name in PACKAGES:
        package = importlib.import_module(f"aideator_gateway.{name}")
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not found.name.endswith("__main__"):
                importlib.import_module(found.name)
    for name in LATE:
        importlib.import_module(name)
    return aideator_gateway.main


def broker() -> Callable[[], object]:
    """Import what the broker needs, with the SDK that it else imports once it listens."""
    for name in ("anthropic", "aideator.broker.app", "aideator.broker.upstream"):
        importlib.import_module(name)
    return lambda: runpy.run_module("aideator.broker", run_name="__main__")


def serve(requests: socket.socket) -> None:
    """Start a process for each request, and say how it ended; return in such a process."""
    running: dict[int, tuple[int, int]] = {}
    while True:
        poll = select.poll()
        for number in (requests.fileno(), *running):
            poll.register(number, select.POLLIN)
        for ready, _ in poll.poll():
            if ready != requests.fileno():
                pid, answer = running.pop(ready)
                code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                os.write(answer, f"{code}\n".encode())
                os.close(answer)
                os.close(ready)
                continue
            message, handed, _, _ = socket.recv_fds(requests, 1 << 20, 4)
            if not message:
                os._exit(0)
            pid = os.fork()
            if pid == 0:
                requests.detach()
                become(json.loads(message), handed[:3])
                return
            running[os.pidfd_open(pid)] = (pid, handed[3])
            os.write(handed[3], f"{pid}\n".encode())
            for number in handed[:3]:
                os.close(number)


def become(request: dict[str, object], files: list[int]) -> None:
    """Take over what the process is to have of its own, and nothing else."""
    for target, number in enumerate(files):
        os.dup2(number, target)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.chdir(str(request["cwd"]))
    os.umask(int(str(request["umask"])))
    environment = request["environment"]
    assert isinstance(environment, dict)
    os.environ.clear()
    os.environ.update(environment)
    words = request["words"]
    assert isinstance(words, list)
    sys.argv[:] = words


if __name__ == "__main__":
    main = {"aideator": command, "broker": broker}[sys.argv[2]]()
    gc.freeze()
    serve(socket.socket(fileno=int(sys.argv[1])))
    main()
