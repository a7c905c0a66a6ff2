"""The HTTP API: read a request, ask ``Runs``, write the answer. Nothing is decided here."""

from typing import Any, TypedDict, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from aideator_gateway.http.bodies import Health, NewSelection, RunCreated, RunList, Success
from aideator_gateway.http.docs_page import docs_routes
from aideator_gateway.http.guard import read_body
from aideator_gateway.http.problems import from_validation
from aideator_gateway.http.stream import EventStream
from aideator_gateway.runs.backend import Backend
from aideator_gateway.runs.life import Runs
from aideator_gateway.runs.log import EventLog
from aideator_gateway.runs.metrics import CONTENT_TYPE, Metrics
from aideator_gateway.runs.model import NewRun
from aideator_gateway.runs.problems import Problem, invalid_field
from aideator_gateway.runs.store import Store

M = TypeVar("M", bound=BaseModel)

PAGE = 50
MAX_PAGE = 200


class State(TypedDict):
    """What requests are answered from."""

    runs: Runs
    store: Store
    log: EventLog
    backend: Backend
    metrics: Metrics


def _state(request: Request) -> State:
    state: State = request.app.state.gateway
    return state


def _json(model: BaseModel, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse(model.model_dump(mode="json"), status_code=status, headers=headers)


async def _read(request: Request, model: type[M], context: Any = None) -> M:
    try:
        return model.model_validate_json(await read_body(request), context=context)
    except ValidationError as error:
        raise from_validation(error) from None


def _variation_id(request: Request) -> int:
    return int(request.path_params["variation_id"])


async def create_run(request: Request) -> Response:
    """``POST /runs``."""
    key = _idempotency_key(request)
    runs = _state(request)["runs"]
    run, new = await runs.create(await _read(request, NewRun, runs.styles), key)
    created = RunCreated(run_id=run.run_id, stream_url=f"/runs/{run.run_id}/stream")
    headers = {"Location": f"/runs/{run.run_id}"}
    if not new:
        headers["Idempotent-Replayed"] = "true"
    return _json(created, 202, headers)


def _idempotency_key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not (1 <= len(key) <= 255 and key.isascii() and key.isprintable()):
        raise Problem("invalid_header", "Idempotency-Key takes 1 to 255 printable characters.")
    return key


async def list_runs(request: Request) -> Response:
    """``GET /runs``."""
    try:
        limit = int(request.query_params.get("limit", PAGE))
    except ValueError:
        limit = 0
    if not 1 <= limit <= MAX_PAGE:
        raise invalid_field("limit", f"Use an integer from 1 to {MAX_PAGE}.")
    cursor = request.query_params.get("cursor")
    if cursor is not None:
        await _state(request)["runs"].get(cursor)
    runs = await _state(request)["store"].runs(limit=limit + 1, before=cursor)
    more = len(runs) > limit
    return _json(RunList(runs=runs[:limit], next=runs[limit - 1].run_id if more else None))


async def get_run(request: Request) -> Response:
    """``GET /runs/{run_id}``."""
    return _json(await _state(request)["runs"].get(request.path_params["run_id"]))


async def stream_run(request: Request) -> Response | EventStream:
    """``GET /runs/{run_id}/stream``."""
    state = _state(request)
    run = await state["runs"].get(request.path_params["run_id"])
    after = _last_event_id(request)
    if run.status.ended and after >= await state["store"].last_position(run.run_id):
        # On 204 browsers stop reconnecting.
        return Response(status_code=204)
    return EventStream(state["log"], run.run_id, after, state["metrics"])


def _last_event_id(request: Request) -> int:
    given = request.headers.get("last-event-id")
    if given is None:
        return 0
    if not (given.isascii() and given.isdigit() and len(given) < 19):
        raise Problem("invalid_header", "Last-Event-ID must be an id that this stream sent.")
    return int(given)


async def select_variation(request: Request) -> Response:
    """``POST /runs/{run_id}/select``."""
    choice = await _read(request, NewSelection)
    await _state(request)["runs"].select(
        request.path_params["run_id"], choice.winning_variation_id, choice.reason
    )
    return _json(Success())


async def cancel_run(request: Request) -> Response:
    """``POST /runs/{run_id}/cancel``."""
    return _json(await _state(request)["runs"].cancel(request.path_params["run_id"]))


async def delete_run(request: Request) -> Response:
    """``DELETE /runs/{run_id}``."""
    await _state(request)["runs"].delete(request.path_params["run_id"])
    return Response(status_code=204)


async def get_patch(request: Request) -> Response:
    """``GET /runs/{run_id}/variations/{variation_id}/patch``."""
    patch = await _state(request)["runs"].patch(
        request.path_params["run_id"], _variation_id(request)
    )
    # A patch is bytes: files in other encodings are in it as they are.
    return Response(patch, headers={"Content-Type": "text/x-diff"})


async def get_transcript(request: Request) -> Response:
    """``GET /runs/{run_id}/variations/{variation_id}/transcript``."""
    run_id, variation_id = request.path_params["run_id"], _variation_id(request)
    await _state(request)["runs"].variation(run_id, variation_id)
    entries = await _state(request)["store"].transcript(run_id, variation_id)
    lines = "".join(f"{entry.line}\n" for entry in entries)
    return Response(lines, media_type="application/jsonl")


async def healthz(request: Request) -> Response:
    """``GET /healthz``: the process lives."""
    del request
    return _json(Health())


async def readyz(request: Request) -> Response:
    """``GET /readyz``: a run could start now, or why not."""
    readiness = await _state(request)["backend"].readiness()
    return _json(readiness, 200 if readiness.ready else 503)


async def metrics(request: Request) -> Response:
    """``GET /metrics``: figures for Prometheus."""
    return Response(_state(request)["metrics"].text(), headers={"Content-Type": CONTENT_TYPE})


ROUTES = [
    Route("/runs", create_run, methods=["POST"]),
    Route("/runs", list_runs, methods=["GET"]),
    Route("/runs/{run_id}", get_run, methods=["GET"]),
    Route("/runs/{run_id}", delete_run, methods=["DELETE"]),
    Route("/runs/{run_id}/stream", stream_run, methods=["GET"]),
    Route("/runs/{run_id}/select", select_variation, methods=["POST"]),
    Route("/runs/{run_id}/cancel", cancel_run, methods=["POST"]),
    Route("/runs/{run_id}/variations/{variation_id:int}/patch", get_patch, methods=["GET"]),
    Route(
        "/runs/{run_id}/variations/{variation_id:int}/transcript", get_transcript, methods=["GET"]
    ),
    Route("/healthz", healthz, methods=["GET"]),
    Route("/readyz", readyz, methods=["GET"]),
    Route("/metrics", metrics, methods=["GET"]),
    *docs_routes(),
]
