"""The scripted model's part in all tasks at once."""

from collections.abc import Sequence

from aideator_gateway.scripted_model.conversation import Conversation
from aideator_gateway.scripted_model.player import Request
from aideator_gateway.scripted_model.script import HttpError, Reply, TokenCounts
from tests.tasks.small_task import SmallTask


class TaskPlayer:
    """Plays the solution of the task that a prompt is of; holds no state.

    Parameters
    ----------
    tasks
        Those that it knows.
    usage
        What each turn is said to have used.
    """

    def __init__(self, tasks: Sequence[SmallTask], usage: TokenCounts) -> None:
        self._replies = {task.prompt: task.replies for task in tasks}
        self._usage = usage

    def reply(self, request: Request) -> Reply:
        """Return the turn that follows on the conversation so far."""
        replies = self._replies[Conversation(request).prompt]
        number = len([m for m in request.messages if m.get("role") == "user"])
        if number > len(replies):
            return [HttpError(400, "invalid_request_error", f"There is no turn {number}.")]
        return [*replies[number - 1], self._usage]
