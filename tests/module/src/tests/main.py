"""Main object of the tests."""

import asyncio
import json
from typing import Annotated

import dagger
from dagger import DefaultPath, Directory, Doc, Ignore, Service, dag, function, object_type

IMAGE = "python:3.13-slim"
PORT = 8080

# All that the scripted model needs.
FILES = ["gateway/aideator_gateway/__init__.py",
         "gateway/aideator_gateway/scripted_model/**", "gateway/aideator_gateway/demo/**",
         "src/aideator/__init__.py", "src/aideator/protocol/**"]  # fmt: skip
SERVE = f"""
from aideator_gateway.demo.standin import DemoPlayer
from aideator_gateway.scripted_model.standalone import serve
serve(DemoPlayer(500), "Scripted demo", "0.0.0.0", {PORT})
"""
REQUIREMENTS = ["h11>=0.16,<1", "click>=8.2,<9", "pydantic>=2.11,<3"]


@object_type
class Tests:
    """What another module can do with AIdeator, against the scripted model in a container."""

    project: Annotated[
        Directory,
        DefaultPath("/"),
        Ignore(["**", *(f"!{path}" for path in FILES)]),
        Doc("The project's files that the scripted model is made of."),
    ]

    # Each of these runs agents, so none of them is to be answered from an earlier session.
    @function(cache="session")
    async def all(self) -> str:
        """Run all tests at once."""
        await asyncio.gather(self.compare(), self.one_agent(), self.bad_input())
        return "3 tests passed"

    @function(cache="session")
    async def compare(self) -> None:
        """Two conditions differ, both are checked, and the winner's changes apply."""
        run = (
            dag.aideator(model_service=self.model())
            .with_condition(label="small")
            .with_condition(label="large")
            .run_variations("Improve it.", source=self.repository(), check="test -s README.md")
        )
        variations = await run.variations()
        assert [await v.label() for v in variations] == ["small", "large"]
        assert [await v.status() for v in variations] == ["completed", "completed"]
        assert [await v.check().passed() for v in variations] == [True, True]
        patches = [await v.patch().contents() for v in variations]
        assert all(patches), "a patch is empty"
        assert patches[0] != patches[1], "both variations made the same patch"

        winner = run.variation(2)
        changed = self.repository().with_changes(winner.changes())
        for path in [
            *await winner.changes().added_paths(),
            *await winner.changes().modified_paths(),
        ]:
            expected = await winner.directory().file(path).contents()
            assert await changed.file(path).contents() == expected
        result = json.loads(await run.results().file("result.json").contents())
        assert result["run_id"] == await run.run_id()

    @function(cache="session")
    async def one_agent(self) -> None:
        """One agent alone works on a directory and leaves a transcript."""
        variation = dag.aideator(model_service=self.model()).agent(
            self.repository(), "Improve it.", label="alone"
        )
        assert await variation.status() == "completed"
        lines = (await variation.transcript().contents()).splitlines()
        assert json.loads(lines[-1])["type"] == "completed"

    @function(cache="session")
    async def bad_input(self) -> None:
        """An error reaches the calling module as one line."""
        main = dag.aideator(model_service=self.model())
        said = ""
        try:
            await main.run_variations("Improve it.").run_id()
        except dagger.QueryError as error:
            said = str(error)
        assert "repo: give either repo, a URL, or source" in said, said

    def model(self) -> Service:
        """Return the scripted model as a service."""
        return (
            dag.container()
            .from_(IMAGE)
            .with_exec(["pip", "install", "--quiet", "--root-user-action=ignore", *REQUIREMENTS])
            .with_directory("/app", self.project)
            .with_workdir("/app")
            .with_env_variable("PYTHONPATH", "/app/gateway:/app/src")
            .with_exposed_port(PORT)
            .as_service(args=["python", "-c", SERVE])
        )

    def repository(self) -> Directory:
        """Return a small repository."""
        return (
            dag.directory()
            .with_new_file("README.md", "# Sample\n\nA small program that greets.\n")
            .with_new_file("greet.py", 'print("Hello, world")\n')
        )
