"""Kept commits without a gateway: their directory as one gateway sees it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aideator_gateway.backends.commits.commits import Commits
from aideator_gateway.backends.workdir import WorkDirectory
from aideator_gateway.runs.metrics import Metrics
from aideator_gateway.settings import Settings


class Shelf:
    """The commits of a directory, seen by one gateway."""

    def __init__(self, directory: Path, owner: str, settings: dict[str, Any]) -> None:
        self.path = directory / "commits"
        self.metrics = Metrics()
        self.making = WorkDirectory(self.path / ".making", owner)
        self.commits = Commits(
            self.path, Settings(data_dir=directory, **settings), self.making, self.metrics
        )

    def figure(self, name: str) -> int:
        """Return one of the metrics of commits."""
        for line in self.metrics.text().decode().splitlines():
            if line.startswith(f"aideator_commits_{name} "):
                return int(float(line.split()[1]))
        raise AssertionError(name)

    def kept(self) -> set[str]:
        """Return the ids of the commits that are there, or say that they are."""
        return {mark.parent.name for mark in self.path.glob("*/*/kept.json")}

    def left(self) -> list[Path]:
        """Return what is on its way in or out."""
        return list(self.making_path.glob("*"))

    @property
    def making_path(self) -> Path:
        """Where commits are made."""
        return self.path / ".making"


@asynccontextmanager
async def shelf(directory: Path, owner: str = "gw_1", /, **settings: Any) -> AsyncIterator[Shelf]:
    """Open the commits of a data directory, which others may have open as well."""
    opened = Shelf(directory, owner, settings)
    directory.mkdir(exist_ok=True)
    opened.commits.start()
    try:
        yield opened
    finally:
        await opened.making.aclose()
