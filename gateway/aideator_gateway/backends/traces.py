"""Where spans go: to the collector that OpenTelemetry's own variables name, if they do."""

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import trace

from aideator_gateway.runs.tracing import Tracer

logger = logging.getLogger(__name__)

SHUTDOWN_SECONDS = 2.0
"""How long the last spans may take at the end; a collector may be gone."""

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_HTTP = "http/protobuf"


@contextmanager
def tracing(environ: Mapping[str, str]) -> Iterator[Tracer | None]:
    """Give what makes spans, ``None`` where the environment names no collector."""
    endpoint = next((name for name in _ENDPOINTS if environ.get(name)), None)
    disabled = environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    if endpoint is None or disabled or environ.get("OTEL_TRACES_EXPORTER") == "none":
        yield None
        return
    protocol = next((environ[name] for name in _PROTOCOLS if environ.get(name)), _HTTP)
    if protocol != _HTTP:
        logger.warning(
            "traces do not go to %s: they are sent as %s, not %s", endpoint, _HTTP, protocol
        )
        yield None
        return
    # A fifth of a second of imports, for those who trace.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
        OTLPSpanExporter,
    )
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    name = environ.get("OTEL_SERVICE_NAME") or "aideator"
    provider = TracerProvider(
        resource=Resource.create({"service.name": name}), shutdown_on_exit=False
    )
    # The exporter reads the variables itself: address, headers, certificates, time.
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    logger.info("traces go to %s", endpoint)
    try:
        yield OpenTelemetryTracer(provider.get_tracer("aideator"))
    finally:
        last = threading.Thread(target=provider.shutdown, name="last traces", daemon=True)
        last.start()
        last.join(SHUTDOWN_SECONDS)


class OpenTelemetryTracer:
    """Makes spans of OpenTelemetry's.

    Parameters
    ----------
    tracer
        OpenTelemetry's own.
    """

    def __init__(self, tracer: trace.Tracer) -> None:
        self._tracer = tracer

    @contextmanager
    def span(self, name: str, attributes: Mapping[str, str | int]) -> Iterator[None]:
        """Trace the block as a part of what is traced around it."""
        with self._tracer.start_as_current_span(
            name,
            attributes=attributes,
            # What an error says may be a repository's, or a server's: its kind will do.
            record_exception=False,
            set_status_on_exception=False,
        ) as opened:
            try:
                yield
            except BaseException as error:
                opened.set_status(trace.StatusCode.ERROR, type(error).__name__)
                raise
