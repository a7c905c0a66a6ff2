"""Choosing among the attempts of a run, at a terminal."""

import contextlib
import re
from collections.abc import Callable, Collection
from pathlib import Path
from urllib.parse import unquote, urlsplit

import click
from rich.console import Console
from rich.text import Text

from aideator.protocol import Status
from aideator_gateway.command.api_error import ApiError
from aideator_gateway.command.cli.attempts import Attempts
from aideator_gateway.command.cli.checkout import Checkout
from aideator_gateway.command.cli.diff import show_difference
from aideator_gateway.command.cli.difference import difference
from aideator_gateway.command.cli.field_names import error_text
from aideator_gateway.command.cli.output import say
from aideator_gateway.command.cli.putting import check, put
from aideator_gateway.command.terminal import patches
from aideator_gateway.command.terminal.pager import page
from aideator_gateway.command.terminal.reading import Reading
from aideator_gateway.command.terminal.tables import files_table, model_line, variations_table
from aideator_gateway.command.terminal.text import name
from aideator_gateway.printable import one_line
from aideator_gateway.runs.model import Run, Variation

SHORT = "v N patch, d N M diff, t N transcript, c N choose, a N apply, n none, ? help"

PROMPT = "Look or choose [v d t c a n l ?, Enter for later]: "

_COMMAND = re.compile(r"(?P<verb>[a-z]*|\?)(?P<numbers>[\s,\d]*)", re.ASCII)

_COMMANDS = ("view", "diff", "transcript", "choose", "apply", "none", "list", "help")

# A number alone is looked at: choosing takes a word of its own.
_VERBS = {"": "v", "?": "h", **{w: w[0] for w in _COMMANDS}, **{w[0]: w[0] for w in _COMMANDS}}

_ONE_NUMBER = {"v": "look at", "t": "read", "c": "choose", "a": "apply"}


class Chooser:
    """Asks a person who wins, and shows what helps to decide.

    Nothing is chosen or applied but by a command that says so, with its number and Enter.

    Parameters
    ----------
    console
        A terminal, with somebody at it.
    attempts
        Of the run; at least one has completed.
    record
        Records the winner, or that none is good enough, and why.
    hosts
        Those that the repository's own one may redirect to.
    """

    def __init__(
        self,
        console: Console,
        attempts: Attempts,
        record: Callable[[int | None, str | None], None],
        *,
        hosts: Collection[str],
    ) -> None:
        self._console = console
        self._attempts = attempts
        self._run = attempts.run
        self._record = record
        self._hosts = hosts
        self._numbers = [v.variation_id for v in self._run.variations]

    def ask(self) -> None:
        """Ask until it is decided, or left for later: Enter alone, ``q``, or input that ends.

        Raises
        ------
        click.Abort
            At Ctrl-C.
        """
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401, PLC0415 - lets what is typed be edited, if it is there
        self._files()
        self._console.print(model_line(self._run), style="dim")
        say(f"\n{self._short()}")
        while True:
            try:
                answer = _typed(PROMPT)
            except KeyboardInterrupt:
                say("", err=True)
                raise click.Abort from None
            if answer is None or answer in ("", "q", "quit"):
                return
            if self._handled(answer):
                return

    def _handled(self, answer: str) -> bool:
        """Do what was typed; whether that decided it."""
        try:
            return self._do(answer)
        except click.ClickException as error:
            say(f"Error: {one_line(error.format_message())}", err=True)
        except ApiError as error:
            say(f"Error: {one_line(error_text(error))}", err=True)
        except KeyboardInterrupt:
            say("\nNothing is chosen.", err=True)
        return False

    def _do(self, answer: str) -> bool:
        match = _COMMAND.fullmatch(answer.lower())
        verb = _VERBS.get(match["verb"]) if match else None
        if match is None or verb is None:
            raise click.ClickException(f"{answer!r} is not known here: ? says what is.")
        numbers = [int(digit) for digit in match["numbers"] if digit.isdigit()]
        if verb == "d":
            self._difference(numbers)
            return False
        if verb in _ONE_NUMBER:
            return self._of_one(verb, numbers)
        if verb == "n":
            return self._choose_none()
        if verb == "l":
            self._console.print(variations_table(self._run, self._attempts.same))
            self._files()
        else:
            say(self._help())
        return False

    def _of_one(self, verb: str, numbers: list[int]) -> bool:
        if len(numbers) != 1:
            raise click.ClickException(
                f"Say which one to {_ONE_NUMBER[verb]}: {verb} {self._numbers[0]}."
            )
        variation = self._attempts.variation(numbers[0])
        if verb in "ca":
            return self._choose(variation, apply=verb == "a")
        if verb == "v":
            self._view(variation)
        else:
            self._read(variation)
        return False

    def _view(self, variation: Variation) -> None:
        patch = self._attempts.patch(variation.variation_id)

        def draw(out: Console) -> None:
            out.print(patches.heading(variation))
            patches.show(out, patch)

        page(self._console, draw, diff=True)

    def _read(self, variation: Variation) -> None:
        events = self._attempts.transcript(variation.variation_id)

        def draw(out: Console) -> None:
            out.print(Text(f"── variation {name(variation)}: what it said and did ", style="bold"))
            Reading(out, events, scripted=self._run.scripted).show()

        page(self._console, draw)

    def _difference(self, numbers: list[int]) -> None:
        if len(numbers) != 2 or numbers[0] == numbers[1]:
            raise click.ClickException("Say which two to compare: d 1 2.")
        old, new = numbers
        found = difference(self._attempts, old, new, hosts=self._hosts)
        show_difference(self._console, old, new, found)

    def _choose(self, variation: Variation, *, apply: bool) -> bool:
        number = variation.variation_id
        if variation.status is not Status.COMPLETED:
            raise click.ClickException(
                f"Variation {number} is {variation.status}, and only a completed one can win."
            )
        into = self._checkout() if apply else None
        if into:
            check(self._run, variation, into)
        reason = _typed(f"Why variation {number}? (Enter for no reason, Ctrl-C for back) ")
        if reason is None:
            return False  # the next question hears of the end as well
        if into:
            put(self._attempts.patch(number), self._run, variation, into)
        self._record(number, reason or None)
        return True

    def _choose_none(self) -> bool:
        reason = _typed("Why none of them? (Enter for no reason, Ctrl-C for back) ")
        if reason is not None:
            self._record(None, reason or None)
        return reason is not None

    def _checkout(self) -> Checkout:
        found = checkout_of(self._run)
        if found is None:
            raise click.ClickException(
                "There is no checkout of the repository here: choose with c, then aideator apply "
                "in one."
            )
        return found

    def _files(self) -> None:
        if files := self._attempts.files:
            self._console.print()
            self._console.print(files_table(files, self._numbers))

    def _short(self) -> str:
        return SHORT if len(self._numbers) > 1 else SHORT.replace("d N M diff, ", "")

    def _help(self) -> str:
        into = checkout_of(self._run)
        where = f"put it into {into.top}" if into else "put it into a checkout (there is none here)"
        return (
            "  2, v 2   the patch of variation 2\n"
            "  d 1 2    what leads from 1's files to 2's\n"
            "  t 2      what 2 said and did\n"
            "  c 2      choose 2; a reason is asked for\n"
            f"  a 2      choose 2, and {where}\n"
            "  n        none is good enough; a reason is asked for\n"
            "  l        the table again\n"
            "  Enter, q leave it open; aideator select asks again\n"
            "Ctrl-C leaves without a winner. Long output goes through $PAGER, else less."
        )


def checkout_of(run: Run) -> Checkout | None:
    """Return the checkout that a run was of, else the one around here if it is of the same."""
    parts = urlsplit(run.github_url)
    own = Path(unquote(parts.path))
    if parts.scheme == "file" and own.is_dir():
        with contextlib.suppress(click.ClickException):
            return Checkout(own)
    here = Checkout.around()
    return here if here and here.own([run]) else None


def _typed(question: str) -> str | None:
    """Return a line that was typed; ``None`` at the end of input."""
    try:
        line = input(question)
    except EOFError:
        say("")
        return None
    except UnicodeDecodeError:
        return "?"
    # What is no text in the terminal's encoding cannot be kept as one.
    return line.encode(errors="replace").decode().strip()
