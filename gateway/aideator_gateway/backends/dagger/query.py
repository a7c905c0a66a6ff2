"""The query that carries out a run in the Dagger module, and what its answer or error means."""

from dataclasses import dataclass
from typing import Any

from aideator.protocol import ErrorCode, KnownProvider, KnownProviders
from aideator_gateway.backends.dagger.session import QueryError
from aideator_gateway.runs.backend import BackendError, RunSpec
from aideator_gateway.runs.model import CheckResult

_VARIATION = """
variationId status errorCode message
check { command exitCode seconds output passed }
"""


class Id(str):
    """The engine's name of an object, as an argument."""

    __slots__ = ()


class Query:
    """Text and variables of a GraphQL query."""

    def __init__(self) -> None:
        self.variables: dict[str, Any] = {}
        self._declared: list[str] = []

    def call(self, name: str, /, **arguments: Any) -> str:
        """Return a field with those of its arguments that are not ``None``."""
        given = [f"{k}: {self._value(v)}" for k, v in arguments.items() if v is not None]
        return f"{name}({', '.join(given)})" if given else name

    def text(self, name: str, body: str) -> str:
        """Return the whole query; its name is what traces show it as."""
        declared = f"({', '.join(self._declared)})" if self._declared else ""
        return f"query {name}{declared} {body}"

    def _value(self, value: Any) -> str:
        match value:
            case bool():
                return "true" if value else "false"
            case int() | float():
                return repr(value)
            case Id():
                kind = "ID!"
            case str():
                kind = "String!"
            case _:
                kind = "[String!]!"
        name = f"v{len(self.variables)}"
        self.variables[name] = value
        self._declared.append(f"${name}: {kind}")
        return f"${name}"


def run_query(
    spec: RunSpec, access: dict[str, Any], run_key: Id, source: Id | None
) -> tuple[str, dict[str, Any]]:
    """Return text and variables of the query that carries out a run.

    Parameters
    ----------
    access
        Arguments of the module's object that say how agents reach the broker. They stay the
        same for a session, so that the engine makes the object once.
    run_key
        The secret that their tokens are made from.
    source
        The repository's tree, if the gateway has fetched it; else the module does.
    """
    query = Query()
    run = query.call(
        "runVariations",
        prompt=spec.tasks[0].prompt,
        repo=None if source else spec.url,
        ref=None if source else spec.ref,
        source=source,
        keepIgnored=True if source else None,
        variations=len(spec.tasks),
        conditions=[condition.model_dump_json(exclude_none=True) for condition in spec.conditions],
        limits=spec.limits.model_dump_json(),
        runId=spec.run_id,
        runKey=run_key,
        providers=_providers(spec),
        check=spec.check,
        checkSeconds=spec.check_seconds if spec.check else None,
        events="json",
    )
    aideator = query.call("aideator", **access)
    body = f"{{ {aideator} {{ {run} {{ id commit variations {{ {_VARIATION} }} }} }} }}"
    return query.text(spec.run_id, body), query.variables


def _providers(spec: RunSpec) -> str | None:
    """Return what the module must know of the model servers that conditions name."""
    known = {
        task.condition.provider: KnownProvider(editor_tool=task.editor_tool, prices=task.prices)
        for task in spec.tasks
        if task.condition.provider is not None
    }
    return KnownProviders(known).model_dump_json() if known else None


@dataclass(frozen=True)
class Answer:
    """What the query said about a run."""

    id: Id
    commit: str | None
    variations: dict[int, dict[str, Any]]

    @classmethod
    def of(cls, data: dict[str, Any]) -> "Answer":
        """Read the query's data."""
        run = data["aideator"]["runVariations"]
        return cls(Id(run["id"]), run["commit"], {v["variationId"]: v for v in run["variations"]})

    def checks(self) -> dict[int, CheckResult]:
        """Return what the check said about each variation, if one was asked for."""
        return {
            number: CheckResult.model_validate({**check, "exit_code": check["exitCode"]})
            for number, answer in self.variations.items()
            if (check := answer["check"])
        }

    def failure(self, variation_id: int) -> BackendError:
        """Return why a variation that did not speak for itself has failed."""
        answer = self.variations.get(variation_id, {})
        try:
            code = ErrorCode(answer.get("errorCode") or "")
        except ValueError:
            code = ErrorCode.AGENT_CRASHED
        message = answer.get("message") or "The agent ended without saying how it went."
        return BackendError(code, message)


def explain(error: QueryError) -> BackendError:
    """Return what an error of the module, or of its engine, means for the whole run."""
    message = str(error).removeprefix("FunctionError: ")
    try:
        return BackendError(ErrorCode(error.code or ""), message)
    except ValueError:
        pass
    # The engine's own words, for what the module could not put a code on.
    full = "no space left on device" in message
    return BackendError(ErrorCode.DISK_FULL if full else ErrorCode.SANDBOX_FAILED, message)
