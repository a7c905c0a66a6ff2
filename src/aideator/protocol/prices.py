"""What tokens cost, from a dated table; a model that is not in it has no known price."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, RootModel

from aideator.protocol.events import Usage

_TABLE = Path(__file__).with_name("prices.json")
_DATE = re.compile(r"-\d{8}$")

Dollars = Annotated[float, Field(ge=0)]


class Price(BaseModel):
    """US dollars per million tokens."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    input: Dollars
    output: Dollars
    cache_write: Dollars
    """For the five minutes that this program asks for."""
    cache_read: Dollars

    def of(self, usage: Usage) -> float:
        """Return the cost of ``usage`` in US dollars."""
        return (
            usage.input_tokens * self.input
            + usage.output_tokens * self.output
            + usage.cache_write_tokens * self.cache_write
            + usage.cache_read_tokens * self.cache_read
        ) / 1_000_000


class PricesByModel(RootModel[dict[str, Price]]):
    """Prices of several models."""


class Prices:
    """The table in ``prices.json``.

    Parameters
    ----------
    own
        Prices by model that go before the table.
    """

    def __init__(self, own: Mapping[str, Price] | None = None) -> None:
        self._own = own or {}
        self._models: dict[str, Any] = json.loads(_TABLE.read_text(encoding="utf-8"))["models"]

    def cost(self, model: str, usage: Usage) -> float | None:
        """Return the cost of one response in US dollars, ``None`` where it is unknown.

        Parameters
        ----------
        model
            The model as the server names it; a date at the end is left aside.
        usage
            Tokens of this response alone: some prices depend on the prompt's length.
        """
        if own := self._own.get(model):
            return own.of(usage)
        entry = self._models.get(model) or self._models.get(_DATE.sub("", model))
        if entry is None:
            return None
        prompt = usage.input_tokens + usage.cache_write_tokens + usage.cache_read_tokens
        for tier in entry:
            longest = tier["prompt_up_to"]
            if longest is None or prompt <= longest:
                return Price(**{name: tier[name] for name in Price.model_fields}).of(usage)
        return None
