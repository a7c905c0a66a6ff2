"""Model servers behind a cloud's door, as their servers speak: for agents all is the same."""

import binascii
import json
import struct
from pathlib import Path
from typing import Any

from tests.support.brokers import KEY, MODEL, broker_for, configuration, request, token
from tests.support.raw_servers import raw_server

EVENTS: list[dict[str, Any]] = [
    {"type": "message_start", "message": {"model": MODEL, "usage": {"input_tokens": 1_000_000}}},
    {"type": "of_tomorrow", "what": "grüße"},
    {"type": "message_delta", "usage": {"output_tokens": 0}},
]


def framed(payload: bytes, **headers: str) -> bytes:
    """Return one message in the framing of AWS's event streams."""
    named = b"".join(
        struct.pack(f"!B{len(name)}sBH", len(name), name.encode(), 7, len(text)) + text.encode()
        for name, text in ((f":{key.replace('_', '-')}", value) for key, value in headers.items())
    )
    start = struct.pack("!II", 16 + len(named) + len(payload), len(named))
    start += struct.pack("!I", binascii.crc32(start))
    whole = start + named + payload
    return whole + struct.pack("!I", binascii.crc32(whole))


def response(kind: str, body: bytes) -> bytes:
    head = (
        f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n"
        "connection: close\r\n\r\n"
    )
    return head.encode() + body


def test_vertex_is_asked_by_project_and_region_and_its_stream_comes_as_it_is(
    tmp_path: Path,
) -> None:
    body = b"".join(b"data: %s\n\n" % json.dumps(event).encode() for event in EVENTS)
    cloud = {
        "kind": "vertex", "region": "europe-west4", "project": "mine",
        "api_key": None, "auth_token": {"value": KEY},
    }  # fmt: skip
    with raw_server() as server:
        server.pieces = [response("text/event-stream", body)]
        config = configuration(server.base_url, provider=cloud)
        with broker_for(tmp_path, config) as broker:
            assert broker.post(token(), request(unknown=1)).content == body
            assert broker.line("spent")["spent"]["usd"] == 2.0
    head, _, sent = server.requests[0].partition(b"\r\n\r\n")
    path = f"/projects/mine/locations/europe-west4/publishers/anthropic/models/{MODEL}"
    assert head.startswith(f"POST {path}:streamRawPredict ".encode())
    assert f"Bearer {KEY}".encode() in head
    assert json.loads(sent)["unknown"] == 1


def test_bedrocks_frames_are_written_as_events(tmp_path: Path) -> None:
    import base64  # noqa: PLC0415

    chunk = {"event_type": "chunk", "content_type": "application/json", "message_type": "event"}
    frames = b"".join(
        framed(
            json.dumps({"bytes": base64.b64encode(json.dumps(event).encode()).decode()}).encode(),
            **chunk,
        )
        for event in EVENTS
    )
    frames += framed(
        b'{"message": "Slow down."}',
        exception_type="throttlingException",
        content_type="application/json",
        message_type="exception",
    )
    cloud = {"kind": "bedrock", "region": "eu-central-1"}
    with raw_server() as server:
        server.pieces = [response("application/vnd.amazon.eventstream", frames)]
        config = configuration(server.base_url, provider=cloud)
        with broker_for(tmp_path, config) as broker:
            answer = broker.post(token(), request(unknown=1))
            assert broker.line("spent")["spent"]["usd"] == 2.0
    assert answer.headers["content-type"] == "text/event-stream"
    parts = [part.split("\n") for part in answer.text.strip().split("\n\n")]
    data = [json.loads(lines[1].removeprefix("data: ")) for lines in parts]
    assert data[:3] == EVENTS
    assert [lines[0] for lines in parts[:3]] == [f"event: {event['type']}" for event in EVENTS]
    assert parts[3][0] == "event: error"
    assert data[3]["error"]["message"] == "Slow down."
    head, _, sent = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(f"POST /model/{MODEL}/invoke-with-response-stream ".encode())
    assert json.loads(sent)["unknown"] == 1


def test_bedrock_is_asked_as_whom_a_file_of_credentials_names(tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    file.write_text("[default]\naws_access_key_id = AKIDOFATEST\naws_secret_access_key = secret\n")
    cloud = {"kind": "bedrock", "region": "eu-central-1", "api_key": None}
    answer = b'{"type": "message", "usage": {"input_tokens": 1}}'
    with raw_server() as server:
        server.pieces = [response("application/json", answer)]
        config = configuration(server.base_url, provider=cloud)
        settings = {"AWS_SHARED_CREDENTIALS_FILE": str(file), "AWS_EC2_METADATA_DISABLED": "true"}
        with broker_for(tmp_path, config, **settings) as broker:
            assert broker.post(token(), request(stream=False)).json() == json.loads(answer)
    head = server.requests[0].decode().lower()
    assert "authorization: aws4-hmac-sha256 credential=akidofatest/" in head
    assert "/eu-central-1/bedrock/" in head
