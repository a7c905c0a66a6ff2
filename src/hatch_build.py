"""Where the package is installed as a Dagger module, compile what uv leaves without bytecode.

Official images of Python have none of the standard library, and uv compiles packages only: neither
the module nor the bindings that the SDK generates beside it. Every call of a function starts Python
anew, in a container that keeps nothing of the call before.
"""

import os
import re
import sysconfig
from compileall import compile_dir
from pathlib import Path
from py_compile import PycInvalidationMode
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# What the Dagger SDK tells a module's container, before it installs the module.
_MODULE = "DAGGER_MODULE"
_NEVER_IMPORTED = re.compile(
    r"/(site-packages|test|tests|ensurepip|idlelib|lib2to3|pydoc_data|tkinter|turtledemo)/"
)


class Bytecode(BuildHookInterface[Any]):
    """Runs whenever the package is built; anywhere but in a module's container it does nothing."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Compile; what cannot be compiled is left to be, as it would be without this."""
        if _MODULE not in os.environ:
            return
        for directory in (sysconfig.get_path("stdlib"), Path(self.root, "src")):
            compile_dir(
                directory,
                quiet=2,
                rx=_NEVER_IMPORTED,
                workers=0,
                invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
            )
