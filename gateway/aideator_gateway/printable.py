"""Text of others made safe to show, on a terminal and elsewhere."""

import re
import unicodedata

_BLANK = re.compile(
    r"[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0d\uffa0\U000e0100-\U000e01ef]"
)
"""Letters and marks that nothing is drawn for (Unicode's Default_Ignorable_Code_Point).

Python calls them printable. U+FE0E and U+FE0F are left out: they only choose how an emoji looks.
"""


def printable(text: str) -> str:
    """Return ``text`` with control characters made visible; newlines and tabs stay.

    What an agent, a repository or a server says is text, never a command to the terminal. This
    takes escape sequences their force, turns no direction of writing around, and hides nothing:
    the one place that decides what may go to a terminal.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_visible(character) for character in text)


def one_line(text: str) -> str:
    """Return ``text`` made visible like ``printable``, and newlines as well.

    For what stands in a line of ours: a newline in it must not begin a line that looks like
    another of ours.
    """
    return printable(text).replace("\n", r"\n")


def _visible(character: str) -> str:
    if character in "\t\n" or unicodedata.category(character) == "Zs":
        return character
    if character.isprintable() and not _BLANK.match(character):
        return character
    code = ord(character)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
