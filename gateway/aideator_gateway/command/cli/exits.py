"""Exit codes, as documented in ``docs/command.md``; click's own for wrong usage is 2."""

COMPLETED = 0
"""Done; a run completed: at least one of its variations did."""

FAILED = 1
"""The run failed or was ended by others, or what was asked for was refused."""

NOT_REACHED = 3
"""An experiment is complete, and does not reach a threshold that it was given."""

CANCELLED = 130
"""Ended with Ctrl-C (128 and the number of SIGINT), or told to end."""
