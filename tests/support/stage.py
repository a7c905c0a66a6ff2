"""One gateway for the runs of many tests, and a model that plays each run its own script."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aideator_gateway.scripted_model.script import Reply
from aideator_gateway.scripted_model.server import Request, Script, ScriptedModel
from tests.support import forked
from tests.support.gateways import Gateway, Serving

Turns = Mapping[int, Sequence[Reply]]


class Scripts:
    """Plays each run the script that was set when the run first asked."""

    def __init__(self) -> None:
        self._turns: Turns = {}
        self._default: Sequence[Reply] = ()
        self._by_run: dict[str | None, Script] = {}

    def set(self, turns: Turns, default: Sequence[Reply]) -> None:
        """Say what runs from now on are played."""
        self._turns, self._default = turns, default

    def reply(self, request: Request) -> Reply:
        """Return the next reply of the run's script."""
        if request.run not in self._by_run:
            self._by_run[request.run] = Script(self._turns, self._default)
        return self._by_run[request.run].reply(request)


@dataclass
class Stage:
    """A gateway that serves, with the local backend, and its model.

    Commands that are given its data directory use it. Tests share it, so each of them names its
    runs, and leaves none at work.
    """

    gateway: Gateway
    model: ScriptedModel
    _scripts: Scripts = field(repr=False)

    @property
    def data_dir(self) -> tuple[str, str]:
        """The flag with which commands find it."""
        return "--data-dir", str(self.gateway.data_dir)

    def play(self, turns: Turns | None = None, default: Sequence[Reply] = ()) -> None:
        """Say what the model answers in runs from now on, as ``Script`` does."""
        self._scripts.set(turns or {}, default)

    def run(self, repository: Path, turns: Turns, **body: Any) -> str:
        """Let a run with a variation for each of ``turns`` come to its end, and return its id."""
        self.play(turns)
        url = repository.as_uri()
        run_id = self.gateway.create(github_url=url, **{"variations": len(turns), **body})
        self.gateway.finish(run_id)
        return run_id

    def found(self, prompt: str) -> dict[str, Any]:
        """Return the one run with this prompt."""
        runs = self.gateway.http.get("/runs", params={"search": prompt}).json()["runs"]
        (found,) = [run for run in runs if run["prompt"] == prompt]
        return dict(found)


@contextmanager
def staged(
    data_dir: Path, serving: Serving = forked.serving, /, **settings: str
) -> Iterator[Stage]:
    """Serve a stage until the block ends; ``settings`` are of the gateway's environment."""
    scripts = Scripts()
    with (
        ScriptedModel(scripts) as model,
        serving(
            data_dir, "--backend", "local", "--allow-file", "--base-url", model.base_url,
            **{"AIDEATOR_API_KEY": "key", **settings},
        ) as gateway,
    ):  # fmt: skip
        yield Stage(gateway, model, scripts)
