"""What the tasks' repositories hold is for agents to work on, tests included."""

collect_ignore_glob = ["*/repo/*"]
