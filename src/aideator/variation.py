"""Variation object."""

from typing import Annotated

from dagger import Changeset, Container, Directory, Doc, File, field

from aideator.check_result import CheckResult
from aideator.sdk import dagger_object
from aideator.usage import Usage


@dagger_object
class Variation:
    """One attempt of an agent: how it ended, what it cost, and what it left.

    To go on with the winner: ``changes export --path=.`` puts its changes into a checkout,
    and ``patch export --path=winner.patch`` saves them for ``git apply``.
    """

    variation_id: Annotated[int, Doc("1 to N within the run.")] = field()
    label: Annotated[str, Doc("The condition's name; empty if it has none.")] = field()
    style: Annotated[str, Doc("The style that it was told to work in; empty if none.")] = field()
    condition: Annotated[
        str, Doc("All that it was given, as JSON; style_text is what its style said.")
    ] = field()
    model: Annotated[str, Doc("The model that was asked for.")] = field()
    status: Annotated[str, Doc("completed, failed or cancelled.")] = field()
    stop_reason: Annotated[
        str | None,
        Doc("Why a completed attempt stopped: end_turn, or the limit it reached (limit_turns, …)."),
    ] = field()
    error_code: Annotated[str | None, Doc("A stable code, if it did not complete.")] = field()
    message: Annotated[str, Doc("What went wrong, and what to do; else empty.")] = field()
    summary: Annotated[str, Doc("The model's last words.")] = field()
    turns: Annotated[int, Doc("Requests that the model answered.")] = field()
    seconds: Annotated[float, Doc("Wall time of the attempt.")] = field()
    usage: Annotated[Usage, Doc("Tokens and cost.")] = field()
    patch_bytes: Annotated[int, Doc("Size of the patch.")] = field()
    patch_truncated: Annotated[
        bool, Doc("The patch is too long to be carried; use changes or directory.")
    ] = field()
    files_changed: Annotated[int, Doc("Files that the patch touches.")] = field()
    insertions: Annotated[int, Doc("Lines that it adds.")] = field()
    deletions: Annotated[int, Doc("Lines that it removes.")] = field()
    check: Annotated[CheckResult | None, Doc("What the check said, if one was asked for.")] = (
        field()
    )
    changes: Annotated[Changeset, Doc("What the agent changed, to apply to a directory.")] = field()
    patch: Annotated[
        File, Doc("The same as a diff against the base commit, which git apply takes.")
    ] = field()
    directory: Annotated[Directory, Doc("The repository as the agent left it.")] = field()
    transcript: Annotated[File, Doc("All that the agent said and did, one JSON object a line.")] = (
        field()
    )
    container: Annotated[
        Container,
        Doc("The container that the agent left, without the API key, to open a terminal in."),
    ] = field()
