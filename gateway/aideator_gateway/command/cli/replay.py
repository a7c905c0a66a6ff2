"""``replay``: a transcript shown again as it went, without a model."""

import heapq
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import click
from rich.console import Console

from aideator.protocol import AnyEvent, Condition, EndEvent, PatchEvent, Status, parse_line
from aideator_gateway.command.cli.checkout import Checkout
from aideator_gateway.command.cli.connect import for_reading
from aideator_gateway.command.cli.follow import PATCH_LINES
from aideator_gateway.command.cli.lookup import complete, find_run, run_and_number
from aideator_gateway.command.cli.options import settings_options
from aideator_gateway.command.cli.output import console, say
from aideator_gateway.command.cli.results import variation_of
from aideator_gateway.command.terminal import patches
from aideator_gateway.command.terminal.live import live_view
from aideator_gateway.command.terminal.text import counted
from aideator_gateway.printable import one_line
from aideator_gateway.runs.frames import Completion, Failure, Message, describe
from aideator_gateway.runs.model import PatchStat, Variation
from aideator_gateway.settings import Settings


class Recording:
    """What the transcripts of one or several variations hold.

    Parameters
    ----------
    lines
        JSON lines, those of several variations mixed or one after the other. Of several
        attempts at a variation the last one counts.
    """

    def __init__(self, lines: Iterable[bytes]) -> None:
        self.others = 0
        """Lines that are no events."""
        found: dict[int, dict[tuple[int, int], AnyEvent]] = {}
        for line in lines:
            event = parse_line(line)
            if event is not None:
                found.setdefault(event.variation, {})[event.attempt, event.seq] = event
            elif line.strip():
                self.others += 1
        self.events: dict[int, list[AnyEvent]] = {
            number: [events[key] for key in sorted(events) if key[0] == max(events)[0]]
            for number, events in sorted(found.items())
        }

    def in_time(self, speed: float) -> Iterator[AnyEvent]:
        """Give the events when they are due: ``speed`` times as fast as they came, or at once.

        The order of a variation's events is that of its transcript, whatever its clock did.
        """
        started, first = time.monotonic(), None
        for event in heapq.merge(*self.events.values(), key=lambda event: event.time):
            first = event.time if first is None else first
            if speed:
                due = started + (event.time - first) / speed
                time.sleep(max(0.0, due - time.monotonic()))
            yield event

    def patch(self, number: int) -> PatchEvent | None:
        """Return a variation's patch."""
        return next((e for e in self.events[number] if isinstance(e, PatchEvent)), None)

    def ended(self, number: int) -> bool:
        """Whether the transcript of a variation is whole."""
        return any(isinstance(event, EndEvent) for event in self.events[number])


@click.command()
@click.argument("arguments", nargs=-1, metavar="FILE | [RUN] [N]", shell_complete=complete)
@click.option(
    "--speed", type=click.FloatRange(min=0), default=1.0, show_default=True,
    help="2 is twice as fast as it went; 0 shows everything at once.",
)  # fmt: skip
@settings_options("data_dir")
def replay(arguments: tuple[str, ...], speed: float, data_dir: Path | None) -> None:
    """Show a transcript again as it went, without a model.

    FILE is a transcript, JSON lines, of one variation or of several; - is standard input.
    RUN and N are as for show: without N all variations of the run are shown.
    """
    if len(arguments) == 1 and (arguments[0] == "-" or Path(arguments[0]).is_file()):
        recording = _read(arguments[0])
        title = "standard input" if arguments[0] == "-" else arguments[0]
        variations = [
            Variation(variation_id=number, status=Status.PENDING, condition=Condition())
            for number in recording.events
        ]
        _play(recording, variations, title, speed=speed, scripted=False)
        return
    word, number = run_and_number(arguments)
    with for_reading(Settings.load({"data_dir": data_dir})) as client:
        run = find_run(client, word, checkout=Checkout.around())
        shown = run.variations if number is None else [variation_of(run, number)]
        lines = [
            line
            for variation in shown
            for line in client.transcript(run.run_id, variation.variation_id).splitlines()
        ]
    recording = _checked(Recording(lines), run.run_id)
    shown = [
        variation.model_copy(update={"status": Status.PENDING})
        for variation in shown
        if variation.variation_id in recording.events
    ]
    _play(recording, shown, run.run_id, speed=speed, scripted=run.scripted)


def _read(name: str) -> Recording:
    try:
        held = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise click.ClickException(f"{name} cannot be read ({error.strerror}).") from None
    return _checked(Recording(held.split(b"\n")), name)


def _checked(recording: Recording, name: str) -> Recording:
    if not recording.events:
        raise click.ClickException(
            f"{name} holds no events of an agent: give a transcript, such as "
            "aideator show RUN N --transcript prints."
        )
    return recording


def _play(
    recording: Recording,
    variations: Sequence[Variation],
    title: str,
    *,
    speed: float,
    scripted: bool,
) -> None:
    out = console()
    count = counted(len(variations), "variation")
    out.print(f"Replay of {one_line(title)}: {count}", soft_wrap=True)
    with live_view(out, variations, scripted=scripted) as view:
        for event in recording.in_time(speed):
            _, shown = describe(event)
            if isinstance(shown, Message | Completion | Failure):
                view.show(shown)
    for variation in variations:
        _show_patch(out, recording, variation)
    for number in recording.events:
        if not recording.ended(number):
            say(f"Note: the transcript of variation {number} has no end.", err=True)
    if recording.others:
        say(f"Note: {counted(recording.others, 'line')} left out that no event is in.", err=True)


def _show_patch(out: Console, recording: Recording, variation: Variation) -> None:
    patch = recording.patch(variation.variation_id)
    if patch is None or not patch.diff:
        return
    stat = PatchStat(**{name: getattr(patch, name) for name in PatchStat.model_fields})
    out.print()
    out.print(patches.heading(variation.model_copy(update={"patch": stat})), soft_wrap=True)
    if left_out := patches.show(out, patch.content(), at_most=PATCH_LINES):
        out.print(f"… {left_out:,} more lines", style="dim")
