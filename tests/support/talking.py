"""A gateway whose agents talk slowly, and what it says about itself meanwhile."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aideator_gateway.scripted_model.script import Reply, Text
from aideator_gateway.scripted_model.server import Script, ScriptedModel
from tests.support import forked
from tests.support.gateways import Gateway, Serving

SECONDS = 60.0


@contextmanager
def talking_gateway(
    data_dir: Path, words: int = 2000, *flags: str, replies: Sequence[Reply] = (),
    serving: Serving = forked.serving, **settings: Any,
) -> Iterator[Gateway]:  # fmt: skip
    """Serve with a model that says a word every 50 ms, twenty conversations long."""
    said = replies or [[Text("word " * words, pace=0.05)]] * 20
    with (
        ScriptedModel(Script({}, default=said)) as model,
        serving(
            data_dir, "--backend", "local", "--allow-file", "--base-url", model.base_url, *flags,
            AIDEATOR_API_KEY="key", **settings,
        ) as gateway,
    ):  # fmt: skip
        yield gateway


def wait(done: Callable[[], bool], seconds: float = SECONDS) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "it is not so"
        time.sleep(0.05)


def ready(gateway: Gateway) -> bool:
    """Whether a run could start now."""
    return gateway.http.get("/readyz").status_code == 200


def failed_commits(gateway: Gateway) -> float:
    """Return how many commits of the event log have failed."""
    name = "aideator_log_commits_failed_total "
    lines = gateway.http.get("/metrics").text.splitlines()
    return float(next(line for line in lines if line.startswith(name)).removeprefix(name))
