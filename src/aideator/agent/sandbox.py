"""Limits that the program sets on itself, and that whatever it starts inherits."""

import resource
from collections.abc import Mapping

_GIB = 1024**3

_DEFAULTS = {
    "AIDEATOR_MAX_MEMORY_BYTES": ("RLIMIT_AS", 4 * _GIB),
    "AIDEATOR_MAX_FILE_BYTES": ("RLIMIT_FSIZE", 2 * _GIB),
    # Counted per user, not per program, so it is only set where the harness knows that
    # nobody else shares the user.
    "AIDEATOR_MAX_PROCESSES": ("RLIMIT_NPROC", None),
}


def limit_resources(environment: Mapping[str, str]) -> None:
    """Set the limits, from the environment where it names them.

    Raises
    ------
    ValueError
        A variable is no positive whole number.
    """
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_NOFILE, 1024)
    for variable, (name, default) in _DEFAULTS.items():
        text = environment.get(variable)
        value = default if text is None else _positive(variable, text)
        if value is not None:
            _lower(getattr(resource, name), value)


def _positive(variable: str, text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise ValueError(f"{variable} must be a positive whole number, not {text!r}.")
    return int(text)


def _lower(kind: int, value: int) -> None:
    # A harness may have set a lower one already; it stands.
    _, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(kind, (value, value))
