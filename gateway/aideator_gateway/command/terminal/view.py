"""What every way of showing a run as it goes on has in common."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console

from aideator_gateway.command.terminal.events import VariationEvent
from aideator_gateway.runs.model import Variation


class View(ABC):
    """Shows a run's events as they come, while it is open.

    Parameters
    ----------
    console
        Where to.
    variations
        Whose events come.
    scripted
        Whether their model is the scripted demo.
    """

    def __init__(
        self, console: Console, variations: Sequence[Variation], *, scripted: bool
    ) -> None:
        self._console = console
        self._variations = variations
        self._scripted = scripted

    def __enter__(self) -> Self:
        self._open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close(left=kind is not None)

    def _open(self) -> None:  # noqa: B027 - not every view has something to do
        """Begin to show."""

    @abstractmethod
    def show(self, event: VariationEvent) -> None:
        """Show one event."""

    @abstractmethod
    def _close(self, *, left: bool) -> None:
        """Show what is left; the run may go on where it was ``left``."""
