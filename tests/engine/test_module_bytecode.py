"""No program of the module compiles at its start what could have been compiled once."""

import json

import pytest

from aideator_gateway.scripted_model.server import Script, ScriptedModel
from tests.engine.module import Module, creates
from tests.engine.session import ROOT

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]


def without_bytecode(*imported: str) -> str:
    """Return a call that prints which modules were compiled, of those that these bring along."""
    program = f"""
import os, sys, {", ".join(imported)}
modules = [module for module in sys.modules.values() if getattr(module, "__cached__", None)]
print(len(modules) > 100, [m.__name__ for m in modules if not os.path.exists(m.__cached__)])
"""
    # What one import compiles and keeps, the next would find.
    kept = 'withEnvVariable(name:"PYTHONDONTWRITEBYTECODE",value:"1")'
    return f'{kept}{{withExec(args:["python3","-c",{json.dumps(program)}]){{stdout}}}}'


def test_functions_start_from_bytecode(module: Module) -> None:
    source = json.dumps(str(ROOT))
    asked = without_bytecode("dagger.mod.cli", "aideator.main")
    found = module.session.query(
        f"{{moduleSource(refString:{source}){{asModule{{runtime{{{asked}}}}}}}}}"
    )["moduleSource"]["asModule"]["runtime"]
    assert found["withEnvVariable"]["withExec"]["stdout"] == "True []\n"


def test_agents_start_from_bytecode(module: Module) -> None:
    asked = without_bytecode("aideator.agent.start", "httpx2")
    with ScriptedModel(Script(default=creates("new.txt"))) as model:
        fields = f"variation(n:1){{container{{{asked}}}}}"
        found = module.run(fields, model.base_url, variations=1)["variation"]["container"]
    assert found["withEnvVariable"]["withExec"]["stdout"] == "True []\n"
