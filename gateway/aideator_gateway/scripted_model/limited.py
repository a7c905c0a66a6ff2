"""A rate limit in front of any player."""

from collections import deque

from aideator_gateway.scripted_model.player import Player, Request
from aideator_gateway.scripted_model.script import HttpError, Reply


class LimitedPlayer:
    """Refuses with status 429 what comes too often, and says when to come back.

    Parameters
    ----------
    player
        Answers what is allowed.
    requests, seconds
        So many requests are allowed in any so many seconds.
    """

    def __init__(self, player: Player, requests: int, seconds: float = 1.0) -> None:
        self._player = player
        self._allowed: deque[float] = deque(maxlen=requests)
        self._seconds = seconds
        self.refused: list[tuple[float, float]] = []
        """When a request was refused, in seconds since the epoch, and its ``retry-after``."""

    def reply(self, request: Request) -> Reply:
        """Return the player's answer, or the refusal."""
        full = len(self._allowed) == self._allowed.maxlen
        if full and (wait := self._allowed[0] + self._seconds - request.time) > 0:
            self.refused.append((request.time, wait))
            headers = {"retry-after": f"{wait:.3f}"}
            return [HttpError(429, "rate_limit_error", "Too many requests.", headers=headers)]
        self._allowed.append(request.time)
        return self._player.reply(request)
