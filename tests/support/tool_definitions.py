"""The agent's tools, as chat templates take them."""

import asyncio
from pathlib import Path
from typing import Any

from aideator.agent.git import Git
from aideator.agent.tools import Tools
from aideator.agent.workspace import Workspace


def tool_definitions(root: Path) -> list[dict[str, Any]]:
    """Return what the agent says of its tools to a model that does not know them."""
    git = Git(root / ".git", root, root)

    async def defined() -> list[dict[str, Any]]:
        ready = asyncio.get_running_loop().create_future()
        return Tools(git, Workspace(root), "plain", ready).definitions()

    return [
        {
            "type": "function",
            "function": {
                "name": tool["name"],
                "description": tool["description"],
                "parameters": tool["input_schema"],
            },
        }
        for tool in asyncio.run(defined())
    ]
