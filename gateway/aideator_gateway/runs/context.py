"""Which run, and which variation, the code that runs now works for; logs and traces say it."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True)
class Work:
    """What is worked on."""

    run_id: str
    variation_id: int | None = None


_CURRENT: ContextVar[Work | None] = ContextVar("work", default=None)


def current() -> Work | None:
    """Return what is worked on; tasks that are started meanwhile work on the same."""
    return _CURRENT.get()


@contextmanager
def working_on(run_id: str, variation_id: int | None = None) -> Iterator[None]:
    """Work on a run, or a variation, while the block runs."""
    token = _CURRENT.set(Work(run_id, variation_id))
    try:
        yield
    finally:
        _CURRENT.reset(token)
