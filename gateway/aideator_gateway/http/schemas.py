"""Schemas of the models that the OpenAPI document names.

What is sent and what is answered are described apart, so that a generated client asks for
what must be given and no more, and knows what is always there.
"""

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from aideator_gateway.runs.frames import STREAM_EVENTS

TEMPLATE = "#/components/schemas/{model}"


def schemas(requests: Iterable[type[BaseModel]], answers: Iterable[type[BaseModel]]) -> Any:
    """Return the schemas by name; of a model that is both sent and answered there are two."""
    generator = _Generator(ref_template=TEMPLATE)
    _, definitions = generator.generate_definitions(
        [(model, "validation", model.__pydantic_core_schema__) for model in requests]
        + [(model, "serialization", model.__pydantic_core_schema__) for model in answers]
    )
    for name, schema in definitions.items():
        # openapi-python-client names classes by it, and the two must not be one.
        if name.endswith(("-Input", "-Output")):
            del schema["title"]
    return definitions


class _Generator(GenerateJsonSchema):
    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        found = super().model_schema(schema)
        fields: dict[str, Any] = found.get("properties", {})
        for field in fields.values():
            # openapi-typescript takes a field with a default for one that is always there,
            # and would have requests give it. So the default is told to people alone.
            default = field.pop("default", None)
            if self.mode == "validation" and default is not None:
                text = f"{field.get('description', '')} Default: {default}."
                field["description"] = text.lstrip()
        # Answers have all their fields, null where there is nothing to say; events leave
        # those out that they do not have.
        if self.mode == "serialization" and schema["cls"] not in STREAM_EVENTS.values():
            found["required"] = list(fields)
        return found
