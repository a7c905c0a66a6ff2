"""What one attempt may use before it is ended cleanly, keeping what it has."""

from pydantic import BaseModel, ConfigDict, Field

MAX_VARIATIONS = 5
DEFAULT_VARIATIONS = 3

DEFAULT_RUN_COST_USD = 5.0
"""Spending cap of a whole run in US dollars, shared evenly by its variations."""

UNPRICED_MAX_TOKENS = 2_000_000
"""Token cap that stands in for the cost cap when the model's price is unknown."""


class Limits(BaseModel):
    """Limits of one variation; reaching one ends it as ``completed`` with its patch kept."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_turns: int = Field(
        default=40, ge=1, le=500, description="Requests to the model that may be answered."
    )
    max_tokens: int | None = Field(
        default=None,
        ge=1,
        description="Tokens of all turns together: input, output, cache writes and cache reads.",
    )
    max_seconds: float = Field(
        default=900, gt=0, le=86_400, description="Wall time of the attempt, in seconds."
    )
    max_cost_usd: float | None = Field(
        default=None, gt=0, description="Cost of this variation, in US dollars."
    )
    max_run_cost_usd: float | None = Field(
        default=DEFAULT_RUN_COST_USD,
        gt=0,
        description="Cost of the whole run, in US dollars; each variation may use an even share.",
    )
    max_retries: int = Field(
        default=4, ge=0, le=20, description="Repeats of one request that failed in passing."
    )

    def for_one_of(self, variations: int) -> "Limits":
        """Return the limits of one variation in a run of ``variations``.

        The run's cost cap is turned into this variation's even share of it, so that no
        variation needs to know what its siblings spend.
        """
        shares = [
            cap
            for cap in (
                self.max_cost_usd,
                self.max_run_cost_usd and self.max_run_cost_usd / variations,
            )
            if cap is not None
        ]
        return self.model_copy(
            update={"max_cost_usd": min(shares, default=None), "max_run_cost_usd": None}
        )
