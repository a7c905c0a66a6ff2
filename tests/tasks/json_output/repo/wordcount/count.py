"""Counting."""

from collections import namedtuple

Counts = namedtuple("Counts", "lines words characters")


def count(text):
    """Return the counts of a text."""
    return Counts(len(text.splitlines()), len(text.split()), len(text))
