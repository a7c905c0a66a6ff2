"""The HTTP API: read a request, ask ``Runs``, write the answer. Nothing is decided here."""

import asyncio
from functools import partial
from typing import Any, TypedDict, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import ASGIApp

from aideator_gateway.experiments.judging import Judgings, NewJudgment
from aideator_gateway.experiments.judgments import JUDGE_RULE, Judge
from aideator_gateway.experiments.report.document import STYLE_ELEMENT, policy
from aideator_gateway.experiments.reports import Reports
from aideator_gateway.experiments.summary import ExperimentList
from aideator_gateway.http import cursor
from aideator_gateway.http.bodies import (
    Cancellation,
    Health,
    NewSelection,
    RunCreated,
    RunList,
    Success,
)
from aideator_gateway.http.downloads import Downloads
from aideator_gateway.http.guard import read_body
from aideator_gateway.http.problems import from_validation
from aideator_gateway.http.stream import EventStream
from aideator_gateway.runs.backend import Backend
from aideator_gateway.runs.life import Runs
from aideator_gateway.runs.log import EventLog
from aideator_gateway.runs.metrics import CONTENT_TYPE, Metrics
from aideator_gateway.runs.model import BRIEF, NewRun
from aideator_gateway.runs.problems import Problem, invalid_field
from aideator_gateway.runs.store import Store

M = TypeVar("M", bound=BaseModel)

REPORT_HEADERS = {
    "Content-Security-Policy": f"{policy()}; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
"""Of HTML that quotes models and repositories: it runs nothing and loads nothing."""

PAGE = 50
MAX_PAGE = 200

_judge: TypeAdapter[str] = TypeAdapter(Judge)

_FLAGS = {"true": True, "false": False}


class State(TypedDict):
    """What requests are answered from."""

    runs: Runs
    store: Store
    log: EventLog
    backend: Backend
    metrics: Metrics
    downloads: Downloads
    reports: Reports
    judgings: Judgings
    large_bodies: asyncio.Semaphore
    """Requests that carry much are read and carried out few at once."""


def _state(request: Request) -> State:
    state: State = request.app.state.gateway
    return state


def _json(model: BaseModel, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse(model.model_dump(mode="json"), status_code=status, headers=headers)


async def _read(request: Request, model: type[M], context: Any = None, *, empty: bytes = b"") -> M:
    """Return the body as a model; ``empty`` is what stands for no body at all."""
    try:
        return model.model_validate_json(await read_body(request) or empty, context=context)
    except ValidationError as error:
        raise from_validation(error, model) from None


def _number(text: str) -> int | None:
    """Return what decimal digits say, ``None`` for all else and for what no database holds."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _variation_id(request: Request) -> int:
    given = request.path_params["variation_id"]
    number = _number(given)
    if number is None:
        raise Problem(
            "variation_not_found",
            f"{given!r:.60} is no variation; GET /runs/{{run_id}} lists a run's variations.",
        )
    return number


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
    limit = _number(request.query_params.get("limit", str(PAGE)))
    if limit is None or not 1 <= limit <= MAX_PAGE:
        raise invalid_field("limit", f"Use an integer from 1 to {MAX_PAGE}.")
    given = request.query_params.get("cursor")
    before = None if given is None else await cursor.read(given, _state(request)["store"])
    runs = await _state(request)["runs"].list(
        limit=limit + 1, before=before, search=_search(request)
    )
    more = len(runs) > limit
    return _json(RunList(runs=runs[:limit], next=cursor.write(runs[limit - 1]) if more else None))


def _search(request: Request) -> str:
    search = request.query_params.get("search", "").strip()
    if len(search) > BRIEF:
        raise invalid_field("search", f"Use at most {BRIEF} characters.")
    return search


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
    number = _number(given)
    if number is None:
        raise Problem("invalid_header", "Last-Event-ID must be an id that this stream sent.")
    return number


async def select_variation(request: Request) -> Response:
    """``POST /runs/{run_id}/select``."""
    choice = await _read(request, NewSelection)
    await _state(request)["runs"].select(
        request.path_params["run_id"], choice.winning_variation_id, choice.reason
    )
    return _json(Success())


async def cancel_run(request: Request) -> Response:
    """``POST /runs/{run_id}/cancel``."""
    await _read(request, Cancellation, empty=b"{}")
    return _json(await _state(request)["runs"].cancel(request.path_params["run_id"]))


async def delete_run(request: Request) -> Response:
    """``DELETE /runs/{run_id}``."""
    await _state(request)["runs"].delete(request.path_params["run_id"])
    return Response(status_code=204)


async def get_patch(request: Request) -> ASGIApp:
    """``GET /runs/{run_id}/variations/{variation_id}/patch``."""
    return _state(request)["downloads"].answer(partial(_patch, request))


async def _patch(request: Request) -> Response:
    patch = await _state(request)["runs"].patch(
        request.path_params["run_id"], _variation_id(request)
    )
    # A patch is bytes: files in other encodings are in it as they are.
    return StreamingResponse(patch, headers={"Content-Type": "text/x-diff"})


async def get_transcript(request: Request) -> ASGIApp:
    """``GET /runs/{run_id}/variations/{variation_id}/transcript``."""
    return _state(request)["downloads"].answer(partial(_transcript, request))


async def _transcript(request: Request) -> Response:
    transcript = await _state(request)["runs"].transcript(
        request.path_params["run_id"], _variation_id(request)
    )
    return StreamingResponse(transcript, media_type="text/plain")


async def list_experiments(request: Request) -> Response:
    """``GET /experiments``."""
    return _json(ExperimentList(experiments=await _state(request)["reports"].all()))


async def get_report(request: Request) -> Response:
    """``GET /experiments/{name}/report``."""
    made = await _state(request)["reports"].report(request.path_params["name"])
    return Response(made.report, media_type="application/json")


async def get_report_page(request: Request) -> Response:
    """``GET /experiments/{name}/report.html``."""
    styled = _flag(request, "style", default=True)
    made = await _state(request)["reports"].report(request.path_params["name"])
    html = made.html if styled else made.html.replace(STYLE_ELEMENT, "", 1)
    return Response(html, media_type="text/html", headers=REPORT_HEADERS)


async def get_judging(request: Request) -> Response:
    """``GET /experiments/{name}/judging``."""
    found = await _state(request)["judgings"].next(
        request.path_params["name"],
        _judge_of(request),
        again=_flag(request, "again"),
        overlap=_flag(request, "overlap"),
    )
    return _json(found)


async def create_judgment(request: Request) -> Response:
    """``POST /experiments/{name}/judgments``."""
    said = await _read(request, NewJudgment)
    new = await _state(request)["judgings"].judge(request.path_params["name"], said)
    return _json(Success(), 201 if new else 200)


async def delete_judgment(request: Request) -> Response:
    """``DELETE /experiments/{name}/judgments/{judgment_id}``."""
    parameters = request.path_params
    await _state(request)["judgings"].take_back(parameters["name"], parameters["judgment_id"])
    return Response(status_code=204)


def _judge_of(request: Request) -> str | None:
    given = request.query_params.get("judge")
    if given is None:
        return None
    try:
        return _judge.validate_python(given)
    except ValidationError:
        raise invalid_field("judge", JUDGE_RULE) from None


def _flag(request: Request, name: str, *, default: bool = False) -> bool:
    given = request.query_params.get(name)
    if given is None:
        return default
    if given not in _FLAGS:
        raise invalid_field(name, "Use true or false.")
    return _FLAGS[given]


async def healthz(request: Request) -> Response:
    """``GET /healthz``: the process lives."""
    del request
    return _json(Health())


async def readyz(request: Request) -> Response:
    """``GET /readyz``: a run could start now, or why not."""
    readiness = await _state(request)["runs"].readiness()
    return _json(readiness, 200 if readiness.ready else 503)


async def metrics(request: Request) -> Response:
    """``GET /metrics``: figures for Prometheus."""
    return Response(_state(request)["metrics"].text(), headers={"Content-Type": CONTENT_TYPE})
