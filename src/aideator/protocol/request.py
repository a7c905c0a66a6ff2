"""How a request becomes one task a variation: the same on every way in."""

from collections.abc import Iterable, Mapping, Sequence

from aideator.protocol.limits import DEFAULT_VARIATIONS, MAX_VARIATIONS, Limits
from aideator.protocol.task import (
    DEFAULT_PROVIDER,
    Condition,
    EditorTool,
    KnownProvider,
    Task,
)


def conditions_of(given: Sequence[Condition], variations: int | None) -> list[Condition]:
    """Return one condition for each variation, in order.

    Parameters
    ----------
    given
        What was asked for; if empty, all variations share the defaults.
    variations
        How many were asked for; ``None`` for as many as there are conditions, else the
        default.

    Raises
    ------
    ValueError
        The number is out of bounds, or not that of the conditions.
    """
    number = variations if variations is not None else len(given) or DEFAULT_VARIATIONS
    if not 1 <= number <= MAX_VARIATIONS:
        raise ValueError(f"{number} is not between 1 and {MAX_VARIATIONS}")
    if given and len(given) != number:
        raise ValueError(
            f"variations is {number} but there are {len(given)} conditions; "
            "make them agree or leave variations out"
        )
    return list(given) or [Condition()] * number


def provider_problem(name: str | None, known: Iterable[str]) -> str | None:
    """Return why a condition cannot name a provider, ``None`` if it can.

    Parameters
    ----------
    known
        Names of those there are beside the default one.
    """
    names = [DEFAULT_PROVIDER, *sorted(known)]
    if name is None or name in names:
        return None
    return f"There is no provider {name!r:.60}; there is {', '.join(names)}."


def tasks_of(
    prompt: str,
    conditions: Sequence[Condition],
    limits: Limits,
    *,
    model: str,
    base_url: str | None,
    editor_tool: EditorTool,
    providers: Mapping[str, KnownProvider] | None = None,
) -> tuple[Task, ...]:
    """Return the task of each variation.

    Parameters
    ----------
    limits
        The run's, of which each variation gets its part.
    model
        For conditions that name none.
    base_url
        Server that speaks the Messages API; ``None`` for Anthropic's own.
    editor_tool
        Of the default provider.
    providers
        The others that conditions may name.

    Raises
    ------
    ValueError
        A condition names a provider that there is not.
    """
    default = KnownProvider(editor_tool=editor_tool)
    known = {DEFAULT_PROVIDER: default, **(providers or {})}
    tasks = []
    for condition in conditions:
        if problem := provider_problem(condition.provider, providers or ()):
            raise ValueError(problem)
        provider = known[condition.provider or DEFAULT_PROVIDER]
        tasks.append(
            Task(
                prompt=prompt,
                condition=condition.model_copy(update={"model": condition.model or model}),
                limits=limits.for_one_of(len(conditions), condition.limits),
                base_url=base_url,
                editor_tool=provider.editor_tool,
                prices=provider.prices,
            )
        )
    return tuple(tasks)
