"""The Dagger SDK's decorators, with the types that they lack for a strict type checker."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

from dagger import field, function, object_type
from typing_extensions import dataclass_transform

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


@dataclass_transform(kw_only_default=True, field_specifiers=(field,))
def dagger_object(cls: type[T]) -> type[T]:
    """Make a class a Dagger object, and a dataclass whose arguments have names."""
    return object_type(cls)


def once_a_session(func: Callable[P, R]) -> Callable[P, R]:
    """Make a method a Dagger function that runs once for a session and its arguments.

    Several fields can be read of one result without running it again, and a new session
    always runs it anew. ``dagger call`` is a session.
    """
    decorate = cast("Callable[..., Callable[[Callable[P, R]], Callable[P, R]]]", function)
    return decorate(cache="session")(func)
