"""Main object."""

from typing import Annotated

from dagger import Changeset, Directory, Doc, Secret, Service, dag, function, object_type


@object_type
class Winner:
    """A module that builds on AIdeator: it adds the rule by which one attempt is picked."""

    api_key: Annotated[Secret | None, Doc("Anthropic API key.")] = None
    model_service: Annotated[Service | None, Doc("A model server in place of Anthropic's.")] = None

    # Agents run anew whenever this is called in a new session.
    @function(cache="session")
    async def pick(
        self,
        source: Annotated[Directory, Doc("The repository's files.")],
        prompt: Annotated[str, Doc("What the agents are to do.")],
        check: Annotated[str, Doc("Shell command that a result has to pass.")],
        check_image: Annotated[str | None, Doc("Image to run it in.")] = None,
    ) -> Changeset:
        """Return the changes of the smallest patch that passes the check."""
        aideator = dag.aideator(api_key=self.api_key, model_service=self.model_service)
        run = (
            aideator.with_condition(
                label="small", instructions="Make the smallest edit that does it."
            )
            .with_condition(label="thorough", instructions="Look for every place that needs it.")
            .with_condition(
                label="test first", instructions="Write a test that fails, then fix it."
            )
            .run_variations(prompt, source=source, check=check, check_image=check_image)
        )
        passed = {}
        for variation in await run.variations():
            size = await variation.patch_bytes()
            if size and await variation.check().passed():
                passed[size] = variation
        if not passed:
            raise ValueError(f"no attempt passed {check!r}:\n{await run.summary()}")
        return passed[min(passed)].changes()
