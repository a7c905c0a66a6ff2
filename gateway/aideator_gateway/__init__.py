"""The HTTP gateway and the ``aideator`` command: one way in to AIdeator among three."""
