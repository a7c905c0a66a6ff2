"""From rows to models, also where a row no longer is what was checked when it came in.

Other hands and other versions write this file too. One row that cannot be read must not
hide the others, so what is unusable in it is left out, logged, and said in its message.
"""

import logging
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from aideator.protocol import Condition, Limits, Status
from aideator_gateway.runs.context import working_on
from aideator_gateway.runs.model import Run, Selection, Variation
from aideator_gateway.runs.tables import RunRow, SelectionRow, VariationRow

logger = logging.getLogger(__name__)

M = TypeVar("M", bound=BaseModel)

_LONG_AGO = datetime.fromtimestamp(0, UTC)

_NEEDED: dict[str, Any] = {
    "status": Status.FAILED,
    "created_at": _LONG_AGO,
    "selected_at": _LONG_AGO,
    "limits": Limits(),
    "condition": Condition(),
    "github_url": "",
    "prompt": "",
    "model": "",
    "scripted": False,
    "variation_id": 0,
}
"""What stands for a value that a model cannot do without."""


def to_run(
    row: RunRow, variations: Sequence[VariationRow], selections: Sequence[SelectionRow]
) -> Run:
    """Return a run as it is stored; its ``message`` names what of it could not be read."""
    bad: list[str] = []
    run = _read(
        Run,
        {
            **row.model_dump(warnings=False),
            "limits": _read(Limits, row.limits, bad, "limits."),
            "winning_variation_id": selections[-1].variation_id or None if selections else None,
            "selections": [
                _read(Selection, _to_selection(choice), bad, "selections.") for choice in selections
            ],
            "variations": [_to_variation(variation, bad) for variation in variations],
        },
        bad,
    )
    if not bad:
        return run
    names = ", ".join(bad)
    with working_on(row.run_id):
        logger.warning("run %s is stored with values that cannot be read: %s", row.run_id, names)
    said = f"Stored values of this run cannot be read and are left out: {names}."
    return run.model_copy(update={"message": f"{run.message} {said}" if run.message else said})


def _to_selection(row: SelectionRow) -> dict[str, Any]:
    return {**row.model_dump(warnings=False), "variation_id": row.variation_id or None}


def _to_variation(row: VariationRow, bad: list[str]) -> Variation:
    at = f"variations.{row.variation_id}."
    return _read(
        Variation,
        {
            **row.model_dump(exclude={"patch_stat"}, warnings=False),
            "condition": _read(Condition, row.condition, bad, f"{at}condition."),
            "patch": row.patch_stat,
        },
        bad,
        at,
    )


def _read(model: type[M], stored: Any, bad: list[str], at: str = "") -> M:
    """Validate what is stored; fields that fail are left out and named in ``bad``."""
    values = dict(stored) if isinstance(stored, dict) else {}
    if values != stored:
        bad.append(at.rstrip("."))
    unusable = {name for name, value in values.items() if _endless(value)}
    while True:
        for name in unusable:
            _leave_out(model, values, name)
        bad += [f"{at}{name}" for name in sorted(unusable)]
        try:
            return model.model_validate(values)
        except ValidationError as error:
            unusable = {str(one["loc"][0]) for one in error.errors() if one["loc"]} & values.keys()
            if not unusable:
                # What is wrong is no one field: nothing of it can be used.
                bad.append(at.rstrip("."))
                return model()


def _leave_out(model: type[BaseModel], values: dict[str, Any], name: str) -> None:
    """Put in a value's place what says least."""
    field = model.model_fields.get(name)
    if field is not None and type(None) in get_args(field.annotation):
        values[name] = None
    elif field is not None and name in _NEEDED:
        values[name] = _NEEDED[name]
    else:
        del values[name]


def _endless(value: Any) -> bool:
    """Whether JSON has no word for a number, or for one inside."""
    if isinstance(value, float):
        return not math.isfinite(value)
    if isinstance(value, dict):
        return any(_endless(part) for part in value.values())
    return isinstance(value, list) and any(_endless(part) for part in value)
