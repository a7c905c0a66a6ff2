"""Events of a run's stream, in one line each."""

from typing import Any

from pydantic import BaseModel, ValidationError

from aideator_gateway.command.terminal.text import counted, duration, figures, patch_size
from aideator_gateway.printable import one_line
from aideator_gateway.runs.frames import STREAM_EVENTS, Checked, Completion, Failure, Message
from aideator_gateway.runs.model import CheckResult, CheckStatus

BRIEF = 100
"""Most characters of what a tool answered that a line shows."""

VariationEvent = Message | Completion | Failure | Checked


CHECK_STYLES = {
    CheckStatus.PASSED: "green",
    CheckStatus.FAILED: "red",
    CheckStatus.TIMED_OUT: "red",
    CheckStatus.NOT_RUN: "red",
    CheckStatus.CANCELLED: "dim",
    CheckStatus.INTERRUPTED: "dim",
}


def read(name: str, data: dict[str, Any]) -> BaseModel | None:
    """Return an event as its model; ``None`` for what this version does not know."""
    model = STREAM_EVENTS.get(name)
    try:
        return model.model_validate(data) if model else None
    except ValidationError:
        return None


def is_speech(event: VariationEvent) -> bool:
    """Whether an event is a piece of running text."""
    return isinstance(event, Message) and event.type in ("agent_output", "thinking")


def describe(event: VariationEvent, *, scripted: bool) -> tuple[str, str]:
    """Return an event that is no running text as a line, and its style; empty for nothing."""
    line, style = _described(event, scripted=scripted)
    return one_line(line), style


def _described(event: VariationEvent, *, scripted: bool) -> tuple[str, str]:
    if isinstance(event, Message):
        return _message(event, scripted=scripted)
    if isinstance(event, Checked):
        took = f" ({duration(event.seconds)})" if event.seconds else ""
        return f"check: {check_label(event)}{took}", f"bold {CHECK_STYLES[event.status]}"
    used = ", ".join(figures(event.turns, event.usage, event.seconds, scripted=scripted))
    if isinstance(event, Completion):
        return f"completed ({event.stop_reason}): {used}", "bold green"
    return f"{event.status} ({event.code}): {event.message}", "bold red"


def check_label(check: CheckResult) -> str:
    """Return how a check ended, in a word or two."""
    if check.status is CheckStatus.FAILED:
        return f"failed ({check.exit_code})"
    return str(check.status).replace("_", " ")


def _message(event: Message, *, scripted: bool) -> tuple[str, str]:
    match event.type:
        case "tool_call":
            return f"→ {_call(event.name or '', event.input)}", "bold"
        case "tool_result":
            first = (event.content or "").split("\n", 1)[0]
            return f"← {first[:BRIEF]}", "red" if event.is_error else "dim"
        case "retry":
            wait = f"again in {event.wait_seconds or 0:.1f} s"
            why = (event.message or "").rstrip(".")
            return f"{why}; {wait}. What this turn has said does not count.", "yellow"
        case "wait":
            return f"waits {event.seconds or 0:.1f} s: {event.message}", "yellow"
        case "usage" if event.total is not None:
            turn = f"turn {event.turn}"
            return " · ".join([turn, *figures(0, event.total, None, scripted=scripted)[1:]]), "dim"
        case "patch" if event.patch is not None:
            kept = (
                ""
                if not event.patch.truncated
                else (f" ({counted(event.patch.bytes, 'byte')}, too large to be kept)")
            )
            return f"patch: {patch_size(event.patch)}{kept}", "bold"
        case "status":
            return event.content or "", "dim"
    return "", ""


def _call(tool: str, arguments: Any) -> str:
    if arguments is None:
        return f"{tool} (too long to show)"
    if not isinstance(arguments, dict):
        return f"{tool} {str(arguments)[:BRIEF]}"
    if arguments.keys() >= {"command", "path"}:
        # The editor is one tool of many commands; what it wrote, the patch shows.
        return f"{arguments['command']} {arguments['path']}"[:BRIEF]
    parts = [tool]
    for key, value in arguments.items():
        text = str(value).replace("\n", "⏎")
        parts.append(f"{key}={text if len(text) <= 40 else text[:39] + '…'}")
    return " ".join(parts)
