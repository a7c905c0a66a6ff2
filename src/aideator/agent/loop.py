"""The loop: ask the model, do what it asks for, until one of them is done."""

from typing import Any

from aideator.agent.budget import Budget
from aideator.agent.emitter import Emitter
from aideator.agent.endings import Completed, Failed
from aideator.agent.message import Message, ToolCall
from aideator.agent.model import Model
from aideator.agent.tools import ToolError, Tools
from aideator.protocol.errors import ErrorCode
from aideator.protocol.outcomes import StopReason

_CUT_OFF = "Your response reached its length limit. Go on exactly where it stopped."
_NOTHING_SAID = "Your response reached its length limit before it said or did anything. Be brief."


class Loop:
    """One conversation with the model.

    Parameters
    ----------
    model
        Answers.
    tools
        Do what the model asks for.
    """

    def __init__(self, model: Model, tools: Tools, budget: Budget, emitter: Emitter) -> None:
        self._model = model
        self._tools = tools
        self._budget = budget
        self._emitter = emitter
        self._messages: list[dict[str, Any]] = []
        self.summary = ""
        """The last text of the model so far."""

    async def run(self, prompt: str) -> None:
        """Work on ``prompt`` until the attempt ends.

        Raises
        ------
        Completed
            The model is done, or a limit is reached.
        Failed
            The model refused, or its server failed for good.
        """
        self._say([_text(prompt)])
        while True:
            turn = self._budget.turns + 1
            message = await self._model.answer(turn, self._messages)
            self._budget.turns = turn
            await self._take(turn, message)
            self._budget.check()

    async def _take(self, turn: int, message: Message) -> None:
        self.summary = message.text.strip() or self.summary
        position = {"turn": turn, "try": message.number}
        if message.stop_reason == "refusal":
            reason = message.text.strip() or message.stop_details
            raise Failed(ErrorCode.REFUSAL, reason or "The model declined without saying why.")
        if message.content:
            self._messages.append({"role": "assistant", "content": message.content})
        if message.stop_reason == "model_context_window_exceeded":
            for call in message.tool_calls:
                self._result(position, call, "The context window is full.", is_error=True)
            raise Completed(StopReason.CONTEXT_WINDOW)
        if message.tool_calls:
            self._say([await self._run(position, call) for call in message.tool_calls])
        elif message.stop_reason == "max_tokens":
            self._say([_text(_CUT_OFF if message.content else _NOTHING_SAID)])
        elif message.stop_reason != "pause_turn":
            raise Completed(StopReason.END_TURN)

    async def _run(self, position: dict[str, int], call: ToolCall) -> dict[str, Any]:
        if call.problem:
            return self._result(position, call, call.problem, is_error=True)
        try:
            return self._result(position, call, await self._tools.run(call.name, call.input))
        except ToolError as error:
            return self._result(position, call, str(error), is_error=True)

    def _result(
        self, position: dict[str, int], call: ToolCall, content: str, *, is_error: bool = False
    ) -> dict[str, Any]:
        self._emitter.emit(
            "tool_result",
            **position,
            id=call.id,
            name=call.name,
            is_error=is_error,
            content=content,
        )
        return {
            "type": "tool_result",
            "tool_use_id": call.id,
            "content": content,
            "is_error": is_error,
        }

    def _say(self, blocks: list[dict[str, Any]]) -> None:
        self._messages.append({"role": "user", "content": blocks})


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}
