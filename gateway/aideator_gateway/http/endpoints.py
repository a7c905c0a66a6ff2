"""Every endpoint of the API, declared once: path, handler, models and codes."""

from pydantic import TypeAdapter

from aideator_gateway.experiments.judging import Judging, NewJudgment
from aideator_gateway.experiments.judgments import Judge
from aideator_gateway.experiments.report.model import Report
from aideator_gateway.experiments.summary import ExperimentList
from aideator_gateway.http import cursor, handlers
from aideator_gateway.http.bodies import (
    Cancellation,
    Health,
    NewSelection,
    RunCreated,
    RunList,
    Success,
)
from aideator_gateway.http.endpoint import Answer, Endpoint
from aideator_gateway.runs.frames import STREAM_EVENTS
from aideator_gateway.runs.model import BRIEF, NewRun, Readiness, Run

_BODY = ("invalid_json", "body_too_large", "unsupported_media_type", "invalid_request")
_RUN = ("run_not_found", "run_deleted")
_VARIATION = (*_RUN, "variation_not_found")

_EXPERIMENT = ("experiment_not_found", "journal_unusable")
_REPORT = (*_EXPERIMENT, "experiments_not_installed", "report_failed")

_STREAM_EXAMPLE = """id: 4
event: message
data: {"variation_id": 1, "type": "agent_output", "content": "Okay, I will start by ", \
"turn": 1, "try": 1, "attempt": 1, "time": 1760000000.0}

id: 981
event: completion
data: {"variation_id": 1, "status": "completed", "stop_reason": "end_turn"}

id: 990
event: error
data: {"variation_id": 3, "status": "failed", "code": "rate_limited", \
"message": "API rate limit exceeded."}

id: 995
event: end
data: {"status": "completed"}
"""

_EVENTS = "\n".join(
    f"- `{name}`: data is a `{model.__name__}`. {(model.__doc__ or '').splitlines()[0]}"
    for name, model in STREAM_EVENTS.items()
)

ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/runs",
        name="createRun",
        summary="Create a new agent run",
        handler=handlers.create_run,
        body=NewRun,
        answers={
            202: Answer(
                description=(
                    "Accepted for processing. The client should now connect to the stream_url."
                ),
                model=RunCreated,
                headers={
                    "Location": "Path of the run.",
                    "Idempotent-Replayed": "`true` if the key had started this run before.",
                },
            )
        },
        problems=(
            *_BODY,
            "invalid_header",
            "idempotency_conflict",
            "run_deleted",
            "day_cost_reached",
            "queue_full",
            "disk_low",
            "stopping",
        ),
        parameters=(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "description": (
                    "The same body under the same key is the same run; another body is refused, "
                    "and so is the key of a run that was deleted."
                ),
                "schema": {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 255,
                    "pattern": "^[!-~]([ -~]*[!-~])?$",
                },
            },
        ),
    ),
    Endpoint(
        method="GET",
        path="/runs",
        name="listRuns",
        summary="List runs, newest first",
        handler=handlers.list_runs,
        answers={200: Answer(description="A page of runs.", model=RunList)},
        problems=("invalid_request",),
        parameters=(
            {
                "name": "limit",
                "in": "query",
                "schema": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": handlers.MAX_PAGE,
                    "default": handlers.PAGE,
                },
            },
            {
                "name": "cursor",
                "in": "query",
                "description": "`next` of the page before; good also when its run was deleted.",
                "schema": {"type": "string", "pattern": cursor.PATTERN},
            },
            {
                "name": "search",
                "in": "query",
                "description": (
                    "Part of a prompt, a repository, a run's id, a label or a style; "
                    "case counts for nothing."
                ),
                "schema": {"type": "string", "maxLength": BRIEF},
            },
        ),
    ),
    Endpoint(
        method="GET",
        path="/runs/{run_id}",
        name="getRun",
        summary="Get a run",
        handler=handlers.get_run,
        answers={200: Answer(description="The run.", model=Run)},
        problems=_RUN,
    ),
    Endpoint(
        method="DELETE",
        path="/runs/{run_id}",
        name="deleteRun",
        summary="Delete a run that has ended, with its log and patches",
        handler=handlers.delete_run,
        answers={204: Answer(description="Deleted.")},
        problems=(*_RUN, "run_active"),
    ),
    Endpoint(
        method="GET",
        path="/runs/{run_id}/stream",
        name="streamRun",
        summary="Stream the live thought process for all variations of a run",
        handler=handlers.stream_run,
        answers={
            200: Answer(
                description=f"Server-Sent Events; every event has an `id`.\n\n{_EVENTS}",
                media_type="text/event-stream",
                example=_STREAM_EXAMPLE,
            ),
            204: Answer(description="The run has ended and the client has all of it."),
        },
        problems=(*_RUN, "invalid_header"),
        parameters=(
            {
                "name": "Last-Event-ID",
                "in": "header",
                "description": "Id of the last event received; the stream goes on behind it.",
                "schema": {"type": "string", "pattern": "^[0-9]{1,18}$", "example": "42"},
            },
        ),
    ),
    Endpoint(
        method="POST",
        path="/runs/{run_id}/select",
        name="selectVariation",
        summary="Persist the winning variation; selecting again replaces it, and history is kept",
        handler=handlers.select_variation,
        body=NewSelection,
        answers={200: Answer(description="Selection successfully recorded.", model=Success)},
        problems=(*_BODY, *_VARIATION, "variation_not_completed", "run_active"),
    ),
    Endpoint(
        method="POST",
        path="/runs/{run_id}/cancel",
        name="cancelRun",
        summary="Stop what still runs; a run that has ended stays as it is",
        handler=handlers.cancel_run,
        body=Cancellation,
        body_required=False,
        answers={200: Answer(description="The run, ended.", model=Run)},
        problems=(*_BODY, *_RUN),
    ),
    Endpoint(
        method="GET",
        path="/runs/{run_id}/variations/{variation_id}/patch",
        name="getPatch",
        summary="Get a variation's patch, which `git apply` takes",
        handler=handlers.get_patch,
        answers={
            200: Answer(description="A unified diff, byte by byte.", media_type="text/x-diff")
        },
        problems=(*_VARIATION, "patch_not_found", "patch_too_large", "downloads_busy"),
    ),
    Endpoint(
        method="GET",
        path="/runs/{run_id}/variations/{variation_id}/transcript",
        name="getTranscript",
        summary="Get the lines that a variation's agent wrote",
        handler=handlers.get_transcript,
        # No generator knows a type of JSON lines, and some drop the answer.
        answers={200: Answer(description="One JSON object a line.", media_type="text/plain")},
        problems=(*_VARIATION, "downloads_busy"),
    ),
    Endpoint(
        method="GET",
        path="/experiments",
        name="listExperiments",
        summary="List the experiments of the data directory, the last changed first",
        handler=handlers.list_experiments,
        answers={200: Answer(description="All of them.", model=ExperimentList)},
    ),
    Endpoint(
        method="GET",
        path="/experiments/{name}/report",
        name="getReport",
        summary="Get what an experiment says so far",
        handler=handlers.get_report,
        answers={200: Answer(description="The report.", model=Report)},
        problems=_REPORT,
    ),
    Endpoint(
        method="GET",
        path="/experiments/{name}/report.html",
        name="getReportPage",
        summary="Get the same for people, as one HTML file that loads nothing",
        handler=handlers.get_report_page,
        answers={200: Answer(description="The report.", media_type="text/html")},
        problems=(*_REPORT, "invalid_request"),
        parameters=(
            {
                "name": "style",
                "in": "query",
                "description": "False: without its style, for a page that has it.",
                "schema": {"type": "boolean", "default": True},
            },
        ),
    ),
    Endpoint(
        method="GET",
        path="/experiments/{name}/judging",
        name="nextPair",
        summary="Get two attempts to judge blindly, and how far the judging is",
        handler=handlers.get_judging,
        answers={200: Answer(description="What to judge next.", model=Judging)},
        problems=(*_EXPERIMENT, "invalid_request"),
        parameters=(
            {
                "name": "judge",
                "in": "query",
                "description": "Who judges; those who do not say are taken for one.",
                "schema": TypeAdapter(Judge).json_schema(),
            },
            {
                "name": "again",
                "in": "query",
                "description": "Show pairs once more when this judge has judged all.",
                "schema": {"type": "boolean", "default": False},
            },
            {
                "name": "overlap",
                "in": "query",
                "description": "Show pairs first that other judges have judged.",
                "schema": {"type": "boolean", "default": False},
            },
        ),
    ),
    Endpoint(
        method="POST",
        path="/experiments/{name}/judgments",
        name="createJudgment",
        summary="Record which of two attempts is better",
        handler=handlers.create_judgment,
        body=NewJudgment,
        answers={
            201: Answer(description="Recorded.", model=Success),
            200: Answer(description="It was recorded before.", model=Success),
        },
        problems=(*_BODY, *_EXPERIMENT),
    ),
    Endpoint(
        method="DELETE",
        path="/experiments/{name}/judgments/{judgment_id}",
        name="takeBackJudgment",
        summary="Take a judgment back; the record of it stays",
        handler=handlers.delete_judgment,
        answers={204: Answer(description="It does not count any more.")},
        problems=(*_EXPERIMENT, "judgment_not_found"),
    ),
    Endpoint(
        method="GET",
        path="/healthz",
        name="health",
        summary="The server lives",
        handler=handlers.healthz,
        answers={200: Answer(description="It does.", model=Health)},
    ),
    Endpoint(
        method="GET",
        path="/readyz",
        name="readiness",
        summary="Whether a run could start now, and where",
        handler=handlers.readyz,
        answers={
            200: Answer(description="It could.", model=Readiness),
            503: Answer(description="It could not; `reason` says why.", model=Readiness),
        },
    ),
    Endpoint(
        method="GET",
        path="/metrics",
        name="metrics",
        summary="Figures for Prometheus",
        handler=handlers.metrics,
        answers={200: Answer(description="Prometheus text format.", media_type="text/plain")},
    ),
)
"""In the order of the document."""
