"""Named styles: short texts that tell an agent how to go about its task."""

import re
from pathlib import Path

MAX_STYLE_CHARACTERS = 100_000

NAME_PATTERN = r"^[a-z0-9][a-z0-9-]{0,39}$"

_NAME = re.compile(NAME_PATTERN[:-1] + r"\Z")


def is_style_name(name: str) -> bool:
    """Whether a style can be called so: lower-case letters, digits and hyphens."""
    return _NAME.match(name) is not None


class Styles:
    """The styles that are known: those that ship with this package, and a person's own.

    Parameters
    ----------
    own
        Directory with a file ``NAME.md`` for each further style; it need not exist. A file
        here goes before the shipped style of the same name.
    """

    def __init__(self, own: Path | None = None) -> None:
        shipped = Path(__file__).parent
        self._directories = [shipped] if own is None else [own, shipped]

    def names(self) -> list[str]:
        """Return the names, sorted."""
        files = (file for directory in self._directories for file in directory.glob("*.md"))
        return sorted({file.stem for file in files if is_style_name(file.stem)})

    def text(self, name: str) -> str | None:
        """Return what a style says; ``None`` if it is not known.

        Raises
        ------
        ValueError
            If its file cannot be used.
        """
        if not is_style_name(name):
            return None
        for directory in self._directories:
            try:
                text = (directory / f"{name}.md").read_text(encoding="utf-8").strip()
            except FileNotFoundError:
                continue
            except (OSError, UnicodeError) as error:
                reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
                raise ValueError(f"{name}.md cannot be read: {reason}") from None
            if not 0 < len(text) <= MAX_STYLE_CHARACTERS:
                raise ValueError(
                    f"{name}.md must hold 1 to {MAX_STYLE_CHARACTERS} characters, not {len(text)}"
                )
            return text
        return None
