"""Which runs a few words find: by prompt, repository, id, label or style."""

from sqlalchemy import ColumnElement, exists, or_
from sqlmodel import col

from aideator_gateway.runs.tables import RunRow, VariationRow


def matching(text: str) -> ColumnElement[bool]:
    """Return the condition on a run's row that ``text`` is part of what people know it by.

    Case counts for nothing, ``%`` and ``_`` stand for themselves.
    """
    condition = col(VariationRow.condition)
    named = [
        condition[name].as_string().icontains(text, autoescape=True) for name in ("label", "style")
    ]
    return or_(
        col(RunRow.prompt).icontains(text, autoescape=True),
        col(RunRow.github_url).icontains(text, autoescape=True),
        col(RunRow.run_id).icontains(text, autoescape=True),
        exists().where(col(VariationRow.run_id) == col(RunRow.run_id), or_(*named)),
    )
