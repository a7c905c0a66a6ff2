"""What a shell command of a caller's may use: the same wherever it is run."""

MAX_MEMORY_KIB = 4 * 1024 * 1024
"""Most memory of one process: 4 GiB."""

MAX_FILE_BLOCKS = 4 * 1024 * 1024
"""Largest file that set-up and checks may write: 2 GiB in the 512-byte blocks of a plain
``sh``; a shell that counts in 1024 bytes allows twice that."""

MAX_PROCESSES = 1024
"""Most processes and threads, counted by user id; it binds no root."""

CHECK_SECONDS = 600
MAX_SECONDS = 86_400

TAIL_BYTES = 4000
"""How much of a check's output is kept: its end."""

WAS_STOPPED = "It was stopped"
"""What the output of a check that was stopped ends with, in a line of its own."""

NOT_RUN = "It could not be run"
"""What stands in place of the output of a check that never began."""

NOBODY = 59_999
"""User and group that are nobody's account: a limit on processes counts all that one user id
has on the machine, and binds no root."""

LIMITS = f"ulimit -c 0; ulimit -d {MAX_MEMORY_KIB}; ulimit -f {MAX_FILE_BLOCKS}"
"""Shell commands that limit memory and file size of what follows."""

LIMIT_PROCESSES = f"ulimit -u {MAX_PROCESSES} 2>/dev/null || ulimit -p {MAX_PROCESSES} 2>/dev/null"
"""Shell command that limits processes; shells differ in the letter."""
