"""The attempts of a run that ended, and how their patches compare."""

from functools import cached_property
from pathlib import Path

import click

from aideator.protocol import AnyEvent, Status, parse_line
from aideator_gateway.command.cli.checkout import git
from aideator_gateway.command.client import Client
from aideator_gateway.runs.model import Run, Variation


class Attempts:
    """What the variations of a run made.

    Parameters
    ----------
    client
        Of a gateway that has the run. A patch is asked for once.
    run
        The run, which has ended.
    """

    def __init__(self, client: Client, run: Run) -> None:
        self.run = run
        self._client = client
        self._patches: dict[int, bytes] = {}

    @property
    def completed(self) -> list[Variation]:
        """Those of which one can win."""
        return [v for v in self.run.variations if v.status is Status.COMPLETED]

    def variation(self, number: int) -> Variation:
        """Return a variation.

        Raises
        ------
        click.ClickException
            If the run has none of this number.
        """
        for variation in self.run.variations:
            if variation.variation_id == number:
                return variation
        raise click.ClickException(
            f"{self.run.run_id} has variations 1 to {len(self.run.variations)}."
        )

    def patch(self, number: int) -> bytes:
        """Return a variation's patch; empty if it changed nothing.

        Raises
        ------
        click.ClickException
            If there is no such variation, or it has no patch.
        ApiError
            If the gateway cannot be asked.
        """
        stat = self.variation(number).patch
        if stat is None:
            raise click.ClickException(f"Variation {number} has no patch.")
        if stat.truncated:
            raise click.ClickException(f"The patch of variation {number} was too large to be kept.")
        if not stat.bytes:
            return b""
        if number not in self._patches:
            self._patches[number] = self._client.patch(self.run.run_id, number)
        return self._patches[number]

    def transcript(self, number: int) -> list[AnyEvent]:
        """Return the events of a variation, those of its last attempt.

        Raises
        ------
        click.ClickException
            If there is no such variation.
        ApiError
            If the gateway cannot be asked.
        """
        asked = self.variation(number).variation_id
        lines = self._client.transcript(self.run.run_id, asked).split(b"\n")
        events = [event for event in map(parse_line, lines) if event is not None]
        last = max((event.attempt for event in events), default=1)
        return sorted((e for e in events if e.attempt == last), key=lambda event: event.seq)

    @cached_property
    def same(self) -> dict[int, int]:
        """Which variations have the very patch of an earlier one, and of which."""
        found: dict[int, int] = {}
        firsts: list[Variation] = []
        for variation in self._with_patches:
            number = variation.variation_id
            for first in firsts:
                # Most are told apart by their size, and then nothing is asked for.
                alike = first.patch == variation.patch
                if alike and self.patch(first.variation_id) == self.patch(number):
                    found[number] = first.variation_id
                    break
            else:
                firsts.append(variation)
        return found

    @cached_property
    def files(self) -> dict[str, list[int]]:
        """Which variations touched each file; files that most of them touched come first."""
        found: dict[str, list[int]] = {}
        for variation in self._with_patches:
            for file in touched(self.patch(variation.variation_id)):
                found.setdefault(file, []).append(variation.variation_id)
        return dict(sorted(found.items(), key=lambda item: (-len(item[1]), item[0])))

    @property
    def _with_patches(self) -> list[Variation]:
        return [
            v for v in self.run.variations if v.patch and v.patch.files and not v.patch.truncated
        ]


def touched(patch: bytes) -> list[str]:
    """Return the files that a patch touches, by their new names; none if git cannot tell.

    What is no UTF-8 in a name has a mark in its place.
    """
    # From the root: below a repository's top, git leaves out what lies outside the directory.
    done = git(Path("/"), "apply", "--numstat", "-z", "-", stdin=patch)
    entries = done.stdout.decode(errors="replace").split("\0")
    return [entry.split("\t", 2)[2] for entry in entries if entry.count("\t") >= 2]
