"""Spans of runs, at a collector that OpenTelemetry's own variables name."""

from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from aideator_gateway.scripted_model.script import Text
from aideator_gateway.scripted_model.server import Script, ScriptedModel
from tests.support.collector import Collector
from tests.support.forked import serving


def test_a_run_is_traced_down_to_its_checks(shared_repository: Path, tmp_path: Path) -> None:
    flags = ("--backend", "local", "--allow-file", "--check-unsandboxed")
    with (
        Collector() as collector,
        ScriptedModel(Script({}, default=[[Text("done")]] * 2)) as model,
    ):
        with serving(
            tmp_path / "data", *flags, "--base-url", model.base_url, AIDEATOR_API_KEY="key",
            OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=collector.url,
        ) as gateway:  # fmt: skip
            url = shared_repository.as_uri()
            run_id = gateway.create(github_url=url, variations=2, check="true")
            assert gateway.finish(run_id)["status"] == "completed"
        # It sends what is left when it ends.
        requests = [ExportTraceServiceRequest.FromString(body) for body in collector.bodies]
    resources = [one for request in requests for one in request.resource_spans]
    names = {a.key: a.value.string_value for one in resources for a in one.resource.attributes}
    assert names["service.name"] == "aideator"
    spans = [span for one in resources for scope in one.scope_spans for span in scope.spans]
    found = {span.span_id: span for span in spans}
    ways = []
    for span in spans:
        said = {attribute.key: attribute.value for attribute in span.attributes}
        assert said["aideator.run_id"].string_value == run_id
        number = said["aideator.variation_id"].int_value if "aideator.variation_id" in said else 0
        way = [span.name]
        while span.parent_span_id:
            span = found[span.parent_span_id]  # noqa: PLW2901 - upwards from here
            way.append(span.name)
        ways.append((" < ".join(way), number))
    assert sorted(ways) == sorted(
        [
            ("create run", 0),
            ("run < create run", 0),
            ("fetch < run < create run", 0),
            *(
                (f"{part}variation < run < create run", number)
                for part in ("", "copy < ", "agent < ", "check < ")
                for number in (1, 2)
            ),
        ]
    )


def test_a_collector_that_cannot_be_spoken_to_is_said(tmp_path: Path) -> None:
    with serving(
        tmp_path / "data", "--demo", "--backend", "local",
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9", OTEL_EXPORTER_OTLP_PROTOCOL="grpc",
    ) as gateway:  # fmt: skip
        pass
    assert "they are sent as http/protobuf, not grpc" in gateway.log.read_text()


@pytest.mark.parametrize("name", ["OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER"])
def test_who_turns_tracing_off_has_none(tmp_path: Path, name: str) -> None:
    value = {"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "none"}[name]
    with serving(
        tmp_path / "data", "--demo", "--backend", "local",
        **{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", name: value},
    ) as gateway:  # fmt: skip
        pass
    assert "traces" not in gateway.log.read_text()
