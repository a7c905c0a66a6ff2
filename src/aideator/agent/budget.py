"""What an attempt has used, and whether that is all it may use."""

import math

from aideator.agent.endings import Completed
from aideator.protocol.events import Usage
from aideator.protocol.limits import UNPRICED_MAX_TOKENS, Limits
from aideator.protocol.outcomes import StopReason


class Budget:
    """Adds up tokens and cost, and ends the attempt at a limit.

    A limit is looked at after each answer and the tool calls in it, which have been paid for
    by then. So it is overrun by one answer at most.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.turns = 0
        self.total = Usage(cost_usd=0.0)

    def allow(self, dollars: str | None) -> None:
        """Take what a broker allows in all: more than its share, once siblings left some over.

        Parameters
        ----------
        dollars
            A number as text; what is none is left out of account.
        """
        try:
            allowed = float(dollars or "")
        except ValueError:
            return
        most = self._limits.max_cost_usd
        if most is not None and math.isfinite(allowed) and allowed > most:
            self._limits = self._limits.model_copy(update={"max_cost_usd": allowed})

    def add(self, usage: Usage) -> None:
        """Count one response; its cost may be unknown, and then the total's is too."""
        known = self.total.cost_usd is not None and usage.cost_usd is not None
        self.total = Usage(
            input_tokens=self.total.input_tokens + usage.input_tokens,
            output_tokens=self.total.output_tokens + usage.output_tokens,
            cache_write_tokens=self.total.cache_write_tokens + usage.cache_write_tokens,
            cache_read_tokens=self.total.cache_read_tokens + usage.cache_read_tokens,
            cost_usd=(self.total.cost_usd or 0) + (usage.cost_usd or 0) if known else None,
        )

    def check(self) -> None:
        """Go on, or end the attempt.

        Raises
        ------
        Completed
            A limit is reached.
        """
        limits, total = self._limits, self.total
        if limits.max_cost_usd is not None:
            if total.cost_usd is not None and total.cost_usd >= limits.max_cost_usd:
                raise Completed(StopReason.LIMIT_COST)
            # A cost cap that cannot be watched must still cap something.
            unwatched = total.cost_usd is None and limits.max_tokens is None
            if unwatched and total.tokens >= UNPRICED_MAX_TOKENS:
                raise Completed(StopReason.LIMIT_TOKENS)
        if limits.max_tokens is not None and total.tokens >= limits.max_tokens:
            raise Completed(StopReason.LIMIT_TOKENS)
        if self.turns >= limits.max_turns:
            raise Completed(StopReason.LIMIT_TURNS)
