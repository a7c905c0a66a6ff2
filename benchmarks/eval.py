"""What a real model makes of the small tasks in tests/tasks, for each style.

Every task is one run through the gateway with a variation for each style, and its own check
decides what is solved. With the key of ANTHROPIC_API_KEY this costs money; the plan, with
the most that it can cost, is printed first. A variation that failed (an error of the
model's server, say) is counted as such, and not as unsolved.

Exit codes: 0 the table is complete, 1 something was wrong, 2 there is no key.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from aideator.protocol import MAX_VARIATIONS, Condition, Status, Styles
from aideator_gateway.command.api_error import ApiError
from aideator_gateway.command.client import Client
from aideator_gateway.command.serving import EmbeddedGateway
from aideator_gateway.runs.model import NewRun, Variation
from aideator_gateway.runs.problems import StartError
from aideator_gateway.settings import Settings, SettingsError
from tests.tasks.small_task import SmallTask, small_tasks

PLAIN = "none"
"""The column of attempts without a style: what styles are to be measured against."""

HEAD = ("task", "style", "solved", "failed", "cost", "seconds", "turns")


@dataclass(frozen=True)
class Attempt:
    """One variation, and whether its task is solved."""

    task: str
    style: str
    variation: Variation
    solved: bool
    said: str


def options(words: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    tasks = [task.name for task in small_tasks()]
    styles = [PLAIN, *Styles().names()]
    parser = argparse.ArgumentParser(prog="eval.py", description=__doc__.split("\n")[0])
    parser.add_argument("--model", help="model to ask; else the gateway's default")
    parser.add_argument("--task", action="append", choices=tasks, help="may be given again")
    parser.add_argument("--style", action="append", choices=styles, help="may be given again")
    parser.add_argument("--repeat", type=int, default=1, metavar="N", help="runs of each task")
    parser.add_argument("--backend", default="local", choices=["local", "dagger"])
    parser.add_argument("--at-once", type=int, default=2, metavar="N", help="runs at a time")
    parser.add_argument("--verbose", action="store_true", help="say why a check failed")
    found = parser.parse_args(words)
    if found.repeat < 1 or found.at_once < 1:
        parser.error("--repeat and --at-once take 1 or more")
    found.task = found.task or tasks
    found.style = list(dict.fromkeys(found.style or styles))
    if len(found.style) > MAX_VARIATIONS:
        parser.error(f"a run has at most {MAX_VARIATIONS} variations, so give no more styles")
    return found


def evaluate(client: Client, task: SmallTask, styles: Sequence[str], place: Path) -> list[Attempt]:
    """Run a task once and check what each style made of it."""
    repository = task.make_repository(place / "repository")
    conditions = [
        Condition(label=PLAIN) if style == PLAIN else Condition(style=style) for style in styles
    ]
    request = NewRun(
        github_url=repository.as_uri(),
        prompt=task.prompt,
        variations=len(conditions),
        conditions=conditions,
    )
    run_id = client.create(request)
    for _ in client.stream(run_id):
        pass
    attempts = []
    for style, variation in zip(styles, client.run(run_id).variations, strict=True):
        solved, said = False, f"{variation.code}: {variation.message}"
        if variation.status is Status.COMPLETED:
            patch = client.patch(run_id, variation.variation_id)
            verdict = task.check(repository, patch, place / f"check-{style}")
            solved, said = verdict.passed, verdict.output
        attempts.append(Attempt(task.name, style, variation, solved, said))
    return attempts


def row(task: str, style: str, attempts: Iterable[Attempt]) -> tuple[str, ...]:
    """Return one line of the table: sums of solved, failed and cost; means of the others."""
    found = list(attempts)
    variations = [attempt.variation for attempt in found]
    # A variation that never asked a model cost nothing, whatever its price would have been.
    costs = [0.0 if not v.usage.tokens else v.usage.cost_usd for v in variations]
    known = [cost for cost in costs if cost is not None]
    failed = sum(variation.status is not Status.COMPLETED for variation in variations)
    return (
        task,
        style,
        f"{sum(attempt.solved for attempt in found)}/{len(found)}",
        str(failed),
        f"${sum(known):.4f}" if len(known) == len(costs) else "unknown",
        f"{sum(v.seconds or 0.0 for v in variations) / len(found):.1f}",
        f"{sum(v.turns for v in variations) / len(found):.1f}",
    )


def table(attempts: Sequence[Attempt]) -> str:
    """Return all lines, then those of each style over all tasks."""
    tasks = dict.fromkeys(attempt.task for attempt in attempts)
    styles = dict.fromkeys(attempt.style for attempt in attempts)
    rows: list[tuple[str, ...]] = [HEAD]
    rows += [
        row(task, style, (a for a in attempts if (a.task, a.style) == (task, style)))
        for task in tasks
        for style in styles
    ]
    rows += [row("all", style, (a for a in attempts if a.style == style)) for style in styles]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if number < 2 else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in rows
    )


def main(words: Sequence[str]) -> int:
    """Run all and print the table."""
    asked = options(words)
    with tempfile.TemporaryDirectory(prefix="aideator-eval-", ignore_cleanup_errors=True) as name:
        place = Path(name)
        settings = Settings.load(
            {
                "backend": asked.backend,
                "model": asked.model,
                "allow_file": True,
                "demo": False,
                "data_dir": place / "data",
                "max_concurrent_runs": asked.at_once,
            }
        )
        if not settings.has_credentials:
            print("There is no key: set ANTHROPIC_API_KEY to a real one.", file=sys.stderr)
            return 2
        chosen = [task for task in small_tasks() if task.name in asked.task] * asked.repeat
        count = len(chosen) * len(asked.style)
        print(
            f"{settings.model}: {len(asked.task)} tasks, {len(asked.style)} styles, "
            f"{asked.repeat} of each: {count} attempts, at most "
            f"${len(chosen) * settings.max_run_cost_usd:.2f} where the price is known",
            file=sys.stderr,
        )
        with EmbeddedGateway(settings) as gateway, ThreadPoolExecutor(asked.at_once) as pool:

            def one(number: int, task: SmallTask) -> list[Attempt]:
                with Client(gateway.address) as client:
                    found = evaluate(client, task, asked.style, place / str(number))
                print(f"{task.name}: {sum(a.solved for a in found)}/{len(found)}", file=sys.stderr)
                return found

            runs = pool.map(one, range(len(chosen)), chosen)
            attempts = [attempt for found in runs for attempt in found]
    for attempt in attempts:
        failed = attempt.variation.status is not Status.COMPLETED
        if failed or (asked.verbose and not attempt.solved):
            print(f"{attempt.task}, {attempt.style}: {attempt.said.strip()}", file=sys.stderr)
    print(table(attempts))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (SettingsError, StartError, ApiError) as error:
        sys.exit(f"Error: {error}")
