"""Run object."""

from typing import Annotated

from dagger import Directory, Doc, File, dag, field

from aideator.errors import unusable
from aideator.report import machine_readable, markdown, summary
from aideator.sdk import dagger_object, once_a_session
from aideator.variation import Variation


@dagger_object
class Run:
    """One prompt, one commit, N attempts: what each came to, side by side.

    Ask for a leaf: ``summary`` prints a table, ``results export --path=results`` saves
    everything, ``variation --n=2 changes export --path=.`` applies the second result.
    """

    run_id: Annotated[str, Doc("The run's id.")] = field()
    commit: Annotated[
        str | None, Doc("The commit that all variations started from; null for a directory.")
    ] = field()
    prompt: Annotated[str, Doc("What the agents were asked to do.")] = field()
    variations: Annotated[list[Variation], Doc("The variations, 1 to N.")] = field()
    summary: Annotated[str, Doc("A table for people, one line a variation.")] = field()
    report: Annotated[File, Doc("The same and more as a Markdown page.")] = field()
    results: Annotated[
        Directory,
        Doc(
            "report.md and result.json, and for each variation N a directory variation-N "
            "with changes.patch and transcript.jsonl."
        ),
    ] = field()
    export: Annotated[Directory, Doc("The older name of results, kept for a while.")] = field()

    # The result of a run does not change, so the default cache policy would do; but what
    # it refers to lives as long as the session does.
    @once_a_session
    def variation(self, n: Annotated[int, Doc("Which one: 1 to N.")]) -> Variation:
        """Return one variation."""
        if not 1 <= n <= len(self.variations):
            raise unusable(
                "n", f"there is no variation {n}; this run has 1 to {len(self.variations)}."
            )
        return self.variations[n - 1]


def run_of(run_id: str, commit: str | None, prompt: str, variations: list[Variation]) -> Run:
    """Return the run that these variations make."""
    page = markdown(run_id, commit, prompt, variations)
    data = machine_readable(run_id, commit, prompt, variations)
    files = dag.directory().with_new_file("report.md", page).with_new_file("result.json", data)
    report = files.file("report.md")
    for variation in variations:
        name = f"variation-{variation.variation_id}"
        files = files.with_file(f"{name}/changes.patch", variation.patch)
        files = files.with_file(f"{name}/transcript.jsonl", variation.transcript)
    return Run(
        run_id=run_id,
        commit=commit,
        prompt=prompt,
        variations=variations,
        summary=summary(run_id, commit, variations),
        report=report,
        results=files,
        export=files,
    )
