"""What nobody expected is answered as a problem, which a named origin can read as well."""

import asyncio
from typing import NoReturn, cast

import httpx

from aideator_gateway.http.app import create_app
from aideator_gateway.http.handlers import State
from aideator_gateway.settings import Settings

PAGE = "http://localhost:5173"


class Crashing:
    """Runs that cannot be asked for."""

    async def get(self, run_id: str) -> NoReturn:
        raise RuntimeError(f"nobody expected {run_id}")


def test_a_named_origin_can_read_that_the_server_failed() -> None:
    parts = {"runs": Crashing(), "store": None, "log": None, "backend": None, "metrics": None}
    app = create_app(Settings(allow_origin=(PAGE,)), cast("State", parts))

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.get("/runs/run_1", headers={"Origin": PAGE})

    answer = asyncio.run(ask())
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert "nobody expected" not in answer.text
