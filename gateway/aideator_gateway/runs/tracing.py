"""Spans of what a run takes, for those who trace: none unless the gateway was given a tracer."""

from collections.abc import Coroutine, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any, Protocol, TypeVar

from aideator_gateway.runs.context import current

T = TypeVar("T")


class Tracer(Protocol):
    """Makes spans."""

    def span(
        self, name: str, attributes: Mapping[str, str | int]
    ) -> AbstractContextManager[object]:
        """Trace a block as a part of what is traced around it."""


_TRACER: ContextVar[Tracer | None] = ContextVar("tracer", default=None)


@contextmanager
def traced_by(tracer: Tracer | None) -> Iterator[None]:
    """Let spans of the block, and of tasks that are started in it, go to a tracer."""
    token = _TRACER.set(tracer)
    try:
        yield
    finally:
        _TRACER.reset(token)


@contextmanager
def span(name: str) -> Iterator[None]:
    """Trace the block, where somebody traces."""
    tracer = _TRACER.get()
    if tracer is None:
        yield
        return
    attributes: dict[str, str | int] = {}
    if work := current():
        attributes["aideator.run_id"] = work.run_id
        if work.variation_id is not None:
            attributes["aideator.variation_id"] = work.variation_id
    with tracer.span(name, attributes):
        yield


async def spanned(name: str, work: Coroutine[Any, Any, T]) -> T:
    """Return what ``work`` does, traced as a span."""
    with span(name):
        return await work
