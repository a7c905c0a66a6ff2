"""What is known of a run from its events alone, for when nobody can be asked any more."""

from typing import Any

from aideator.protocol import Status
from aideator_gateway.command.terminal.text import joined, numbered


class Known:
    """How a run and its variations stood when its last event came."""

    def __init__(self) -> None:
        self.run: Status | None = None
        """How the run ended."""
        self._variations: dict[int, Status] = {}

    def take(self, name: str, data: dict[str, Any]) -> None:
        """Take in one event of the stream."""
        number = data.get("variation_id")
        try:
            status = Status(data["status"]) if name != "message" else Status.RUNNING
        except (KeyError, ValueError):
            return  # of a version that says it in another way
        if name == "end":
            self.run = status
        elif isinstance(number, int):
            self._variations[number] = status

    def summary(self) -> str:
        """Return how the variations stood, as a sentence."""
        groups: dict[Status, list[int]] = {}
        for number, status in sorted(self._variations.items()):
            groups.setdefault(status, []).append(number)
        parts = [
            f"{numbered(numbers)} {'were' if len(numbers) > 1 else 'was'} {status}"
            for status, numbers in groups.items()
        ]
        return f"When last heard of, {joined(parts)}." if parts else "No variation had begun."
