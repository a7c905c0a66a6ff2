"""Rows without their long texts, which the database cuts: what a list of runs is made of."""

from collections.abc import Collection, Sequence
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Select, case, func, label, select, type_coerce
from sqlalchemy.ext.asyncio import AsyncSession

from aideator_gateway.runs.model import BRIEF
from aideator_gateway.runs.tables import Json, RunRow, SelectionRow, VariationRow

R = TypeVar("R", RunRow, VariationRow, SelectionRow)

_TEXTS = ("prompt", "check", "message", "summary", "reason")
"""Columns that may be long."""

_INSIDE: dict[str, dict[str, tuple[int, ...]]] = {
    "condition": {"instructions": (1, BRIEF), "style_text": (1, BRIEF)},
    # The end of what a check printed says most.
    "check": {"command": (1, BRIEF), "output": (-BRIEF,)},
}
"""Texts that may be long inside of columns of JSON, and what is left of each."""


def select_brief(table: type[R], *, whole: Collection[str] = ()) -> Select[Any]:
    """Return the query for rows of a table with their long texts cut, to be read by ``brief_rows``.

    Parameters
    ----------
    whole
        Columns that are not cut.
    """
    columns = table.__table__.columns  # type: ignore[attr-defined]  # SQLModel's mypy plugin is no more
    return select(*(column if column.key in whole else _cut(column) for column in columns))


async def brief_rows(session: AsyncSession, table: type[R], query: Select[Any]) -> Sequence[R]:
    """Return what such a query finds."""
    return [table(**row) for row in (await session.execute(query)).mappings()]


def _cut(column: ColumnElement[Any]) -> ColumnElement[Any]:
    name = str(column.key)
    if name in _INSIDE and isinstance(column.type, Json):
        return label(name, type_coerce(_cut_inside(column, _INSIDE[name]), column.type))
    return label(name, func.substr(column, 1, BRIEF)) if name in _TEXTS else column


def _cut_inside(column: ColumnElement[Any], texts: dict[str, tuple[int, ...]]) -> Any:
    replaced: list[Any] = []
    for name, part in texts.items():
        path = f"$.{name}"
        replaced += [path, func.substr(func.json_extract(column, path), *part)]
    # What is no JSON comes through: whoever reads it leaves it out, and says so.
    return case((func.json_valid(column) == 1, func.json_replace(column, *replaced)), else_=column)
