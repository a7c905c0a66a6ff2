"""What nginx with nchan does of the same: a peer in C, which keeps its messages in memory.

One worker process, beside that of the readers; half of them follow what is published meanwhile,
half get what was published before, as in ``event_log.deliver``. Where there is no nginx with that
module (Debian: ``libnginx-mod-nchan``) nothing is measured.
"""

import asyncio
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from aideator_gateway.hosting.server import listen

MODULE = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
PIPELINED = 100
LAST = b"the last of them"

CONFIGURATION = """
load_module {module};
daemon off;
worker_processes 1;
pid {directory}/pid;
error_log {directory}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  keepalive_requests 10000000;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  nchan_shared_memory_size 512M;
  server {{
    listen 127.0.0.1:{port};
    location = /publish {{
      nchan_publisher http;
      nchan_channel_id $arg_id;
      nchan_message_buffer_length 1000000;
      nchan_message_timeout 1h;
    }}
    location = /read {{
      nchan_subscriber eventsource;
      nchan_channel_id $arg_id;
      nchan_subscriber_first_message oldest;
    }}
  }}
}}
"""


@contextmanager
def served() -> Iterator[int]:
    """Start nginx on a free port, and end it."""
    assert NGINX
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "nginx.conf"
        file.write_text(CONFIGURATION.format(module=MODULE, directory=name, port=port))
        nginx = subprocess.Popen([NGINX, "-e", f"{name}/error.log", "-c", file])
        try:
            yield port
        finally:
            nginx.terminate()
            nginx.wait()


async def _connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    for _ in range(100):
        try:
            return await asyncio.open_connection("127.0.0.1", port, limit=2**20)
        except OSError:
            await asyncio.sleep(0.05)
    raise SystemExit("nginx does not listen: see its error log")


async def _publish(port: int, channel: str, messages: list[bytes]) -> None:
    reader, writer = await _connect(port)
    for start in range(0, len(messages), PIPELINED):
        part = messages[start : start + PIPELINED]
        for message in part:
            head = f"POST /publish?id={channel} HTTP/1.1\r\nHost: a\r\nContent-Length: "
            writer.write(f"{head}{len(message)}\r\n\r\n".encode() + message)
        await writer.drain()
        for _ in part:
            answer = await reader.readuntil(b"\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 20"), answer
            length = answer.lower().split(b"content-length:")[1].split(b"\r\n")[0]
            await reader.readexactly(int(length))
    writer.close()


async def _read(port: int, channel: str) -> None:
    reader, writer = await _connect(port)
    writer.write(
        f"GET /read?id={channel} HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n".encode()
    )
    rest = b""
    while LAST not in rest:
        part = await reader.read(2**18)
        assert part, "the stream ended early"
        rest = rest[-100:] + part
    writer.close()


async def deliver(port: int, message: bytes, count: int, live: int, late: int) -> float:
    """Return how many messages a second readers get together."""
    messages = [message] * (count - 1) + [LAST]
    await _publish(port, "old", messages)
    began = time.perf_counter()
    readers = [
        asyncio.create_task(_read(port, channel))
        for channel in ["new"] * live + ["old"] * late
    ]  # fmt: skip
    await _publish(port, "new", messages)
    await asyncio.gather(*readers)
    return (live + late) * count / (time.perf_counter() - began)


def measure(message: bytes, count: int) -> dict[str, float]:
    """Measure once; nothing where there is no nchan."""
    if NGINX is None or not MODULE.exists():
        return {}
    with served() as port:
        return {"nchan, events/s": asyncio.run(deliver(port, message, count, 50, 50))}


if __name__ == "__main__":
    print(measure(b"x" * 200, 10_000) or "There is no nginx with nchan here.")
