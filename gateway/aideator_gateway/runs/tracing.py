"""Spans of what a run takes, for those who trace: none unless the gateway was given a tracer."""

from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from opentelemetry.trace import NoOpTracer, StatusCode, Tracer

from aideator_gateway.runs.context import current

T = TypeVar("T")

_TRACER: ContextVar[Tracer | None] = ContextVar("tracer", default=None)
_NONE = NoOpTracer()


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
    """Trace the block as a part of what is traced around it."""
    attributes: dict[str, str | int] = {}
    if work := current():
        attributes["aideator.run_id"] = work.run_id
        if work.variation_id is not None:
            attributes["aideator.variation_id"] = work.variation_id
    tracer = _TRACER.get() or _NONE
    with tracer.start_as_current_span(
        name,
        attributes=attributes,
        # What an error says may be a repository's, or a server's: its kind will do.
        record_exception=False,
        set_status_on_exception=False,
    ) as opened:
        try:
            yield
        except BaseException as error:
            opened.set_status(StatusCode.ERROR, type(error).__name__)
            raise


async def spanned(name: str, work: Coroutine[Any, Any, T]) -> T:
    """Return what ``work`` does, traced as a span."""
    with span(name):
        return await work
