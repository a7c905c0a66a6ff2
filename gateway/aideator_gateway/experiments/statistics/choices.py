"""What people chose, where two results lay before them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Choice:
    """One comparison of two conditions.

    Attributes
    ----------
    task
        Which task it was, by number: choices at one task belong together.
    first, second
        The conditions, by number.
    score
        1 where the first was chosen, 0 where the second was, 0.5 for neither.
    """

    task: int
    first: int
    second: int
    score: float
