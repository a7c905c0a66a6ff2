"""Texts that say something, by patterns that mean the same to all who read them."""

from typing import Annotated

from pydantic import StringConstraints

SPACE = r"\s\x1c-\x1f\x85\ufeff"
r"""What is blank, inside a character class.

A bare ``\s`` is another set to pydantic, to Python and to ECMAScript, whose expressions those
of a JSON Schema are: they differ about the characters that are named here.
"""

ARGUMENT = rf"^[^\x00]*[^{SPACE}\x00][^\x00]*$"
"""What can be an argument of a program and is not blank: NUL would end it."""

NonBlank = Annotated[str, StringConstraints(strict=True, min_length=1, pattern=f"[^{SPACE}]")]
