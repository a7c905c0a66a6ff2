"""Exit codes, as documented in ``docs/command.md``."""

COMPLETED = 0
"""Done; a run completed: at least one of its variations did."""

FAILED = 1
"""The run failed or was ended by others, or what was asked for was refused."""

USAGE = 2
"""The command was called in a way that it does not understand."""

CANCELLED = 130
"""Ended with Ctrl-C (128 and the number of SIGINT), or told to end."""
