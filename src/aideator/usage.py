"""Usage object."""

from dataclasses import asdict
from typing import Annotated

from dagger import Doc, field

from aideator.protocol.events import Usage as Counted
from aideator.sdk import dagger_object


@dagger_object
class Usage:
    """Tokens as the model's server counted them, and what they cost."""

    input_tokens: Annotated[int, Doc("Tokens read that no cache held.")] = field()
    output_tokens: Annotated[int, Doc("Tokens written.")] = field()
    cache_write_tokens: Annotated[int, Doc("Tokens read and put into the cache.")] = field()
    cache_read_tokens: Annotated[int, Doc("Tokens that the cache held.")] = field()
    cost_usd: Annotated[
        float | None, Doc("US dollars; null where the model's price is not known.")
    ] = field()

    @property
    def tokens(self) -> int:
        """All tokens together, as ``max_tokens`` counts them."""
        return Counted.model_validate(asdict(self)).tokens
