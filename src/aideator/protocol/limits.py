"""What one attempt may use before it is ended cleanly, keeping what it has."""

import math
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

MAX_VARIATIONS = 5
DEFAULT_VARIATIONS = 3

DEFAULT_TURNS = 40
DEFAULT_SECONDS = 900
DEFAULT_RETRIES = 4

DEFAULT_RUN_COST_USD = 5.0
"""Spending cap of a whole run in US dollars, shared evenly by its variations."""

UNPRICED_MAX_TOKENS = 2_000_000
"""Token cap that stands in for the cost cap when the model's price is unknown."""


GRACE_SECONDS = 120.0
"""How long past its own time limit an agent may go on before it is killed."""

MAX_TOKENS = 2**53 - 1
"""Largest number of tokens that may be asked for: beyond it JSON readers differ."""


Turns = Annotated[int, Field(ge=1, le=500)]
Tokens = Annotated[int, Field(ge=1, le=MAX_TOKENS)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
Dollars = Annotated[float, Field(gt=0)]
Retries = Annotated[int, Field(ge=0, le=20)]

# What a limit means must not be guessed: true is no number, "5" is a text, and what is not
# finite limits nothing and is no JSON.
_EXACT = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class VariationLimits(BaseModel):
    """Limits of one variation that go before its run's; what is left out stays the run's."""

    model_config = _EXACT

    max_turns: Turns | None = None
    max_tokens: Tokens | None = None
    max_seconds: Seconds | None = None
    max_cost_usd: Dollars | None = Field(
        default=None, description="The even share of max_run_cost_usd still holds."
    )
    max_retries: Retries | None = None


class Limits(BaseModel):
    """Limits of one variation; reaching one ends it as ``completed`` with its patch kept."""

    model_config = _EXACT

    max_turns: Turns = Field(
        default=DEFAULT_TURNS, description="Requests to the model that may be answered."
    )
    max_tokens: Tokens | None = Field(
        default=None,
        description="Tokens of all turns together: input, output, cache writes and cache reads.",
    )
    max_seconds: Seconds = Field(
        default=DEFAULT_SECONDS, description="Wall time of the attempt, in seconds."
    )
    max_cost_usd: Dollars | None = Field(
        default=None, description="Cost of this variation, in US dollars."
    )
    max_run_cost_usd: Dollars | None = Field(
        default=DEFAULT_RUN_COST_USD,
        description="Cost of the whole run, in US dollars; each variation may use an even share. "
        "A server may have another default.",
    )
    max_retries: Retries = Field(
        default=DEFAULT_RETRIES, description="Repeats of one request that failed in passing."
    )

    def for_one_of(self, variations: int, own: VariationLimits | None = None) -> "Limits":
        """Return the limits of one variation in a run of ``variations``.

        The run's cost cap is turned into this variation's even share of it, so that no
        variation needs to know what its siblings spend.

        Parameters
        ----------
        own
            What this variation is given in place of the run's; it cannot raise the share.
        """
        given = {} if own is None else own.model_dump(exclude_none=True)
        shares = [
            cap
            for cap in (
                given.get("max_cost_usd", self.max_cost_usd),
                self.max_run_cost_usd and _share(self.max_run_cost_usd, variations),
            )
            if cap is not None
        ]
        update = {"max_cost_usd": min(shares, default=None), "max_run_cost_usd": None}
        return self.model_copy(update={**given, **update})


def _share(dollars: float, variations: int) -> float:
    # The smallest numbers cannot be divided; and a share of nothing is no limit that can be set.
    return max(dollars / variations, math.ulp(0.0))
