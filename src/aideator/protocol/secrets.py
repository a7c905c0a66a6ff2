"""Which secrets are looked for in what an attempt says and leaves, and how."""

from collections.abc import Iterable

MIN_SECRET_CHARS = 8
"""Shorter secrets are not looked for: they are in words, numbers and base64 by chance."""

MIN_CHARS_WITHOUT_DIGIT = 20
"""Nor are shorter ones without a digit, such as ``not-needed``, ``lm-studio`` or
``sk-no-key-required``: keys for servers that take any, and words that a repository may use."""

HIDDEN = "***"


class Secrets:
    """Literals that must not get out.

    Parameters
    ----------
    values
        API keys and tokens; what is none or too short to be told from other text is left out.
    """

    def __init__(self, values: Iterable[str | None]) -> None:
        known = {value for value in values if value and _is_looked_for(value)}
        # Longest first: one may be a part of another.
        self._texts = sorted(known, key=len, reverse=True)
        self._bytes = [text.encode("utf-8", "surrogateescape") for text in self._texts]

    def __bool__(self) -> bool:
        """Whether there is anything to look for."""
        return bool(self._texts)

    def hidden_in(self, text: str) -> str:
        """Return ``text`` with ``***`` in place of each secret."""
        for secret in self._texts:
            text = text.replace(secret, HIDDEN)
        return text

    def are_in(self, data: bytes) -> bool:
        """Return whether ``data`` holds a secret."""
        return any(secret in data for secret in self._bytes)


def _is_looked_for(secret: str) -> bool:
    if len(secret) >= MIN_CHARS_WITHOUT_DIGIT:
        return True
    return len(secret) >= MIN_SECRET_CHARS and any(c.isdigit() for c in secret)
