"""The module as a client of the engine sees it."""

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aideator_gateway.scripted_model.script import Reply, Text, ToolUse
from tests.engine.session import Session, arguments

EDITOR = "str_replace_based_edit_tool"

FIELDS = """variationId label model status stopReason errorCode message summary turns seconds
    patchBytes patchTruncated filesChanged insertions deletions
    usage{inputTokens outputTokens cacheWriteTokens cacheReadTokens costUsd}
    check{command exitCode passed seconds output}"""


def forms(text: str) -> list[bytes]:
    """Return the bytes by which a text is found, also inside of something in base64 or hex."""
    raw = text.encode()
    found = [raw, raw.hex().encode()]
    for shift in range(3):
        # The characters at either end depend on what is beside the text.
        whole = base64.b64encode(b" " * shift + raw)
        found.append(whole[4:-4] if shift else whole[:-4])
    return found


def creates(path: str, content: str = "made\n") -> list[Reply]:
    """Return what a model says that makes a file: a call of a tool, and that it is done."""
    call = ToolUse(EDITOR, {"command": "create", "path": path, "file_text": content})
    return [[Text("I make a file."), call], [Text("It is made.")]]


@dataclass(frozen=True)
class Module:
    """A session that serves the module, and a repository to work on."""

    session: Session
    repository: Path

    def ask(self, fields: str, **settings: Any) -> Any:
        """Return fields of the main object.

        Parameters
        ----------
        settings
            The constructor's arguments; ``model_url`` in place of a service.
        """
        url = settings.pop("model_url", None)
        service = self.session.service(url) if url else None
        given = arguments({"modelService": service, **settings})
        return self.session.query(f"{{aideator{given}{{{fields}}}}}")["aideator"]

    def run(self, fields: str, model_url: str | None, **given: Any) -> Any:
        """Return fields of a run on the repository, unless another source is given."""
        settings = given.pop("settings", {})
        given.setdefault("prompt", "Make a file.")
        if "repo" not in given and "source" not in given:
            given["source"] = self.session.directory(self.repository)
        call = f"runVariations{arguments(given)}{{{fields}}}"
        return self.ask(call, model_url=model_url, **settings)["runVariations"]
