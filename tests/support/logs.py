"""OpenTelemetry log requests as a Dagger client sends them."""

import json
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

STDOUT, STDERR = 1, 2


def event_line(seq: int, *, run: str = "run_a", variation: int = 1, **fields: Any) -> bytes:
    """Return one line of an agent, a ``text`` event unless ``fields`` say otherwise."""
    event = {
        "aideator": 1,
        "run": run,
        "variation": variation,
        "attempt": 1,
        "seq": seq,
        "time": 1.5,
        "type": "text",
        "turn": 1,
        "text": f"token {seq}",
    }
    return json.dumps(event | fields).encode() + b"\n"


def end_line(seq: int, **fields: Any) -> bytes:
    """Return the line that ends an attempt."""
    return event_line(seq, type="completed", stop_reason="end_turn", **fields)


def request(
    *chunks: bytes | tuple[int, bytes], stream: int = STDOUT, eof: bool = False
) -> ExportLogsServiceRequest:
    """Return a request with one record a chunk; a tuple names the chunk's span, else span 1."""
    message = ExportLogsServiceRequest()
    records = message.resource_logs.add().scope_logs.add().log_records
    for chunk in chunks:
        span, text = chunk if isinstance(chunk, tuple) else (1, chunk)
        record = records.add(trace_id=b"t" * 16, span_id=bytes([span]) * 8)
        record.body.bytes_value = text
        record.attributes.add(key="stdio.stream").value.int_value = stream
    if eof:
        record = records.add(trace_id=b"t" * 16, span_id=b"\1" * 8)
        record.body.string_value = ""
        record.attributes.add(key="stdio.stream").value.int_value = stream
        record.attributes.add(key="stdio.eof").value.bool_value = True
    return message
