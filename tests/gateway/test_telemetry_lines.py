"""Lines put together from chunks, within bounds."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from aideator_gateway.backends.dagger.lines import LineJoiner

LINE = st.binary(max_size=30).map(lambda rest: b"{" + rest.replace(b"\n", b"") + b"\n")


@given(st.lists(LINE, max_size=8), st.lists(st.integers(min_value=0, max_value=250), max_size=12))
def test_lines_survive_any_chunking(lines: list[bytes], cuts: list[int]) -> None:
    text = b"".join(lines)
    edges = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    joiner = LineJoiner()
    found = [line for start, end in pairwise(edges) for line in joiner.add("w", text[start:end])]
    assert found == [line[:-1] for line in lines]
    assert joiner.writers == 0


def test_a_line_beyond_the_bound_is_dropped_to_its_end() -> None:
    joiner = LineJoiner(max_line_bytes=10)
    assert joiner.add("w", b"{" + b"x" * 8) == []
    assert joiner.add("w", b"{yy") == []
    assert joiner.add("w", b"{zz\n{ok}\n{" + b"q" * 20 + b"\n") == [b"{ok}"]


def test_writers_beyond_the_bound_are_forgotten_oldest_first() -> None:
    joiner = LineJoiner(max_writers=2)
    for writer in "abc":
        joiner.add(writer, b"{")
    assert joiner.writers == 2
    assert joiner.add("a", b"1}\n") == []
    assert joiner.add("c", b"3}\n") == [b"{3}"]
    assert joiner.add("b", b"2}\n") == [b"{2}"]


def test_bytes_of_all_writers_together_are_bounded() -> None:
    joiner = LineJoiner(max_bytes=100)
    for writer in range(10):
        joiner.add(writer, b"{" + b"x" * 29)
    assert joiner.writers == 3
    assert joiner.add(9, b"}\n") == [b"{" + b"x" * 29 + b"}"]
    for writer in (7, 8):
        joiner.forget(writer)
    assert joiner.writers == 0
    joiner.add("w", b"{" + b"x" * 99)
    assert joiner.writers == 1


def test_output_that_can_be_no_event_takes_no_memory() -> None:
    joiner = LineJoiner(max_bytes=100)
    joiner.add("good", b"{")
    for _ in range(1000):
        joiner.add("noise", b"progress " * 100)
    assert joiner.add("good", b"}\n") == [b"{}"]
    assert joiner.add("noise", b"{no}\n{yes}\n") == [b"{yes}"]
