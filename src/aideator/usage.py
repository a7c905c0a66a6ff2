"""Usage object."""

from typing import Annotated

from dagger import Doc, field

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
        """All tokens together."""
        return (
            self.input_tokens
            + self.output_tokens
            + self.cache_write_tokens
            + self.cache_read_tokens
        )
