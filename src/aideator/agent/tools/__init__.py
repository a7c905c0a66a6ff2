"""The tools of the model: look around, find, and edit. None of them runs a command."""

from collections.abc import Awaitable, Mapping
from typing import Any

from aideator.agent.git import Git
from aideator.agent.tools.base import Tool, ToolError
from aideator.agent.tools.editor import Editor
from aideator.agent.tools.list_files import ListFiles
from aideator.agent.tools.search_text import SearchText
from aideator.agent.workspace import Workspace, WorkspaceError
from aideator.protocol.task import EditorTool

__all__ = ["ToolError", "Tools"]


class Tools:
    """All tools, by name.

    Parameters
    ----------
    ready
        Done when the workspace may be looked at and changed; awaited before the first call.
    """

    def __init__(
        self, git: Git, workspace: Workspace, editor: EditorTool, ready: Awaitable[None]
    ) -> None:
        self._ready = ready
        tools: list[Tool] = [
            ListFiles(git, workspace),
            SearchText(git, workspace),
            Editor(git, workspace, editor),
        ]
        self._tools = {tool.name: tool for tool in tools}

    def definitions(self) -> list[dict[str, Any]]:
        """Return the tools as the Messages API describes them."""
        return [tool.definition() for tool in self._tools.values()]

    async def run(self, name: str, given: Mapping[str, Any]) -> str:
        """Run one tool.

        Raises
        ------
        ToolError
            The call cannot be done; the text goes to the model.
        """
        tool = self._tools.get(name)
        if tool is None:
            raise ToolError(f"There is no tool {name!r}. Use one of {', '.join(self._tools)}.")
        await self._ready
        try:
            return await tool.run(given)
        except WorkspaceError as error:
            raise ToolError(str(error)) from error
