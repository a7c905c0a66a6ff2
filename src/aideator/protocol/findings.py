"""What is wrong with a given value, field by field: the same sentences on every way in."""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

_SENTENCES = {
    "missing": "This field is required.",
    # The patterns of our models ask for a text that says something.
    "string_pattern_mismatch": "This field must not be blank.",
}


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that pydantic found."""

    path: tuple[int | str, ...]
    """Names and indexes that lead to the field; empty for the whole."""

    kind: str
    """Pydantic's own name for what is wrong, for a side that has a remedy of its own."""

    message: str
    """What is wrong, as a sentence with its full stop."""

    given: Any = dataclasses.field(repr=False)
    """What was given: it may be long, or none of a reader's business."""

    @property
    def field(self) -> str:
        """The path, its parts joined by dots."""
        return ".".join(map(str, self.path))

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.path else self.message


def findings(error: ValidationError, model: type[BaseModel]) -> list[Finding]:
    """Return what was found wrong with a ``model``, at least one thing."""
    return [
        Finding(one["loc"], one["type"], _sentence(one["type"], one["msg"], one["loc"], model),
                one["input"])
        for one in error.errors(include_url=False)
    ]  # fmt: skip


def unknown_field(known: Iterable[str]) -> str:
    """Return the sentence for a field that is none of the ``known``."""
    names = ", ".join(known)
    return f"This field is not known; known are {names}." if names else "No field is known here."


def _sentence(kind: str, text: str, path: Sequence[int | str], model: type[BaseModel]) -> str:
    if kind == "extra_forbidden":
        return unknown_field(_fields(model, path[:-1]))
    text = _SENTENCES.get(kind, text.removeprefix("Value error, "))
    return text if text.endswith(".") else f"{text}."


def _fields(model: type[BaseModel], path: Sequence[int | str]) -> Iterable[str]:
    """Return the fields of the object at a path inside a model."""
    for part in path:
        # Else it is an index, or the key of a mapping: what follows belongs to its values.
        if part in model.model_fields:
            model = next(_models(model.model_fields[part].annotation))
    return model.model_fields


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Find the models that an annotation names."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)
