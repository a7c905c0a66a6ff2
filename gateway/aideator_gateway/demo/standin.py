"""The demo's stand-in for a model: rules, no LLM, and it says so."""

import hashlib
from collections.abc import Sequence

from aideator_gateway.demo.edits import Edit, counted, create, join, view
from aideator_gateway.demo.ideas import IDEAS
from aideator_gateway.scripted_model.conversation import EDITOR, Conversation, Seen, numbered
from aideator_gateway.scripted_model.player import Request
from aideator_gateway.scripted_model.script import Model, Reply, Step, Text, Thinking, ToolUse

MODEL = "aideator-scripted-demo"
LABEL = "[scripted demo, not an LLM]"
TOKENS_PER_SECOND = 25.0

_MOST_TRIES = 3
_LONGEST = 120


class DemoPlayer:
    """Makes a small edit in any repository, another one for each variation.

    It holds no state: what to do next follows from the conversation in the request, which
    has the real results of the real tools. The edit has nothing to do with the prompt, and
    the text says that as well.

    Parameters
    ----------
    tokens_per_second
        How fast it writes; 0 for as fast as it goes.
    """

    def __init__(self, tokens_per_second: float = TOKENS_PER_SECOND) -> None:
        if tokens_per_second < 0:
            raise ValueError("tokens_per_second: use a positive number, or 0 for no pause.")
        self._pace = 1 / tokens_per_second if tokens_per_second else 0.0

    def reply(self, request: Request) -> Reply:
        """Return the next turn of the conversation."""
        talk = Conversation(request)
        number = request.variation or _number(talk.prompt)
        turn = _Turn(request, talk, number, self._pace)
        return [Model(MODEL), *turn.steps()]


class _Turn:
    """One turn of one conversation."""

    def __init__(self, request: Request, talk: Conversation, number: int, pace: float) -> None:
        self._talk = talk
        self._number = number
        self._idea = IDEAS[(number - 1) % len(IDEAS)]
        self._pace = pace
        thinking = request.body.get("thinking")
        self._thinks = isinstance(thinking, dict) and thinking.get("type") != "disabled"

    def steps(self) -> list[Step]:
        talk = self._talk
        if not {"list_files", EDITOR} <= talk.tools:
            return self._say(
                f"{LABEL} I am a small set of rules, and they need the tools list_files and "
                f"{EDITOR}. This request does not offer both, so there is nothing I can do."
            )
        if not talk.calls:
            return self._say(self._greeting(), ToolUse("list_files", {"path": "."}))
        seen = talk.seen()
        look = self._idea.look(seen)
        if look and len(talk.before_edits) == 1:
            return self._say(self._listing(seen, look), *map(view, look))
        return self._work(seen)

    def _work(self, seen: Seen) -> list[Step]:
        """Edit, read the result, and sum up."""
        talk = self._talk
        failed = [call for call in talk.edits if call.is_error]
        edit = self._edit(seen, len(failed))
        if edit is None:
            return self._say(
                f"{LABEL} The tools refused {len(failed)} edits, the last one with: "
                f"{_short(failed[-1].answer)} I end here and leave the repository as it is. "
                "A set of rules has nothing more to try."
            )
        if len(failed) == len(talk.edits):
            refused = _short(failed[-1].answer) if failed else ""
            return self._try(edit, refused)
        if talk.calls[-1].edits:
            return self._say(
                f"The tool took it. I read {edit.change.path} again before I call it done.",
                view(edit.change.path),
            )
        return self._say(self._end(edit, talk.calls[-1].answer))

    def _greeting(self) -> str:
        return (
            f"{LABEL} The prompt was: \u201c{_short(self._talk.prompt)}\u201d. Rules cannot do "
            f"that; variation {self._number} makes a small, safe edit instead. "
            f"{self._idea.aim} First I list what is there."
        )

    def _listing(self, seen: Seen, look: Sequence[str]) -> str:
        least = "" if seen.complete else "at least "
        return (
            f"I see {least}{counted(seen.count, 'file')}. "
            f"Before I change anything, I read {join(look)}."
        )

    def _edit(self, seen: Seen, failed: int) -> Edit | None:
        """Return the edit to make after so many that failed; ``None`` after too many."""
        name = f"AIDEATOR-DEMO-{self._number}.md"
        lines = [f"# Variation {self._number}", ""]
        lines.append(
            f"A scripted demo, not an LLM, was here and saw {counted(seen.count, 'file')}."
        )
        last = Edit(
            create(name, lines),
            f"All that I know how to add is there, or may be. So I leave a note, {name}.",
            f"{name} is new and has one sentence on what I saw.",
        )
        options = [edit for edit in self._idea.edits(seen) if not _overwrites(edit, seen)]
        options.append(last)
        return options[failed] if failed < min(len(options), _MOST_TRIES) else None

    def _try(self, edit: Edit, refused: str) -> list[Step]:
        change = edit.change
        thought = f"What I read decides: {change.call.input['command']} on {change.path}."
        text = f"The tool refused: {refused} I try something else. " if refused else ""
        steps = self._say(text + edit.why, change.call)
        if self._thinks:
            steps.insert(0, Thinking(thought, "scripted", self._pace))
        return steps

    def _end(self, edit: Edit, answer: str) -> str:
        if edit.change.marker in numbered(answer):
            check = "I read it back, and it is as it should be."
        else:
            check = "I could not see it when I read it back: look at the patch with care."
        return f"{LABEL} {edit.done} {check} The prompt itself is open: it takes a real model."

    def _say(self, text: str, *calls: ToolUse) -> list[Step]:
        return [Text(text, self._pace), *calls]


def _overwrites(edit: Edit, seen: Seen) -> bool:
    """Whether a new file might take the place of one that the list did not show."""
    return edit.change.call.input["command"] == "create" and seen.may_have(edit.change.path)


def _number(prompt: str) -> int:
    """Tell conversations without a variation apart by their prompt."""
    return hashlib.sha256(prompt.encode()).digest()[0] % len(IDEAS) + 1


def _short(text: str) -> str:
    """Return the start of a text on one line."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}\u2026"
