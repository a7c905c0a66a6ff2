"""A note for people who want to send a change."""

import re
from collections.abc import Iterator

from aideator_gateway.demo.edits import Edit, append, create
from aideator_gateway.scripted_model.conversation import Seen

_HEADING = "Before you send a change"

_BUILDS = {
    "Makefile": "",
    "package.json": "",
    "pyproject.toml": "python -m pytest",
    "Cargo.toml": "cargo test",
    "go.mod": "go test ./...",
    "pom.xml": "mvn test",
}
"""Files that tell how a project is tested, and the command where the name alone tells."""


class Contributing:
    """Says how to check a change, with the commands that the repository has."""

    aim = "I will write down what to do before sending a change."

    def look(self, seen: Seen) -> list[str]:
        """Return the guide and the build files there are."""
        return seen.named("CONTRIBUTING.md", *_BUILDS)[:3] or list(seen.files[:1])

    def edits(self, seen: Seen) -> Iterator[Edit]:
        """Return a new guide, else a section in the one there is, else a checklist."""
        commands = _commands(seen)
        steps = [
            "1. Keep the change as small as its purpose allows.",
            f"2. Run {' and '.join(f'`{c}`' for c in commands)} and see it pass."
            if commands
            else "2. Say in the description how you tried it out.",
            "3. Read your own diff once more from top to bottom.",
        ]
        found = (
            f"The files that I read say how it is tested: {commands[0]}. "
            if commands
            else "No file that I read says how it is tested, and I do not guess. "
        )
        guide = seen.named("CONTRIBUTING.md", "CONTRIBUTING.rst", "CONTRIBUTING")
        if not guide:
            yield Edit(
                create("CONTRIBUTING.md", ["# Contributing", "", f"## {_HEADING}", "", *steps]),
                f"{found}There is no guide yet; three steps make a start.",
                "CONTRIBUTING.md is new and has three steps.",
            )
        else:
            present = any(_HEADING in line for line in seen.views.get(guide[0], ()))
            section = ["", f"## {_HEADING}", "", *steps]
            if not present and (change := append(seen, guide[0], section)):
                yield Edit(
                    change,
                    f"{found}{guide[0]} is there and lacks a short list to go through.",
                    f"{guide[0]} now ends with three steps to go through.",
                )
        boxes = [f"## {_HEADING}", "", *(f"- [ ] {step[3:]}" for step in steps)]
        yield Edit(
            create(".github/pull_request_template.md", boxes),
            f"{found}The guide is best left as it is; a checklist still helps.",
            "The pull request template is new and has three boxes to tick.",
        )


def _commands(seen: Seen) -> list[str]:
    """Return commands that run tests, from what was read."""
    makefile = seen.views.get("Makefile", ())
    if any(re.match(r"test\s*:", line) for line in makefile):
        return ["make test"]
    if any(re.match(r'\s*"test"\s*:', line) for line in seen.views.get("package.json", ())):
        return ["npm test"]
    commands = [command for path, command in _BUILDS.items() if command and path in seen.views]
    if "python -m pytest" in commands and not any("pytest" in x for x in _lines(seen)):
        commands.remove("python -m pytest")
    return commands


def _lines(seen: Seen) -> tuple[str, ...]:
    return seen.views.get("pyproject.toml", ())
