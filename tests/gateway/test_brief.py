"""A list of runs carries the first characters of their long texts, and the store reads no more."""

import asyncio
import tracemalloc
from pathlib import Path

from aideator.protocol import Limits
from aideator_gateway.runs.model import CheckResult, CheckStatus, NewRun
from aideator_gateway.runs.store import Store
from aideator_gateway.runs.stored import Change

LONG = 90_000


def request(number: int) -> NewRun:
    return NewRun.model_validate(
        {
            "github_url": "https://github.com/user/repo",
            "prompt": f"{number} " + "p" * LONG,
            "check": "c" * 29_000,
            "conditions": [
                {"label": "a", "instructions": "i" * LONG, "temperature": 0.5},
                {"label": "b", "style": "mine", "style_text": "s" * LONG},
            ],
        }
    )


CHECK = CheckResult(
    status=CheckStatus.TIMED_OUT,
    command="c" * 29_000,
    exit_code=None,
    seconds=1.0,
    output="o" * 3000 + "the end",
    passed=False,
)


async def filled(store: Store, count: int) -> None:
    await store.open()
    for number in range(count):
        await store.create_run(
            f"run_{number}", request(number), limits=Limits(), model="m", scripted=True, owner="me"
        )
        found = {"summary": "u" * LONG, "check": CHECK.model_dump(mode="json")}
        await store.append([], [Change(f"run_{number}", 1, found)])
        await store.select(f"run_{number}", 1, "r" * 9000)


def test_long_texts_are_cut_and_all_else_is_as_it_is(tmp_path: Path) -> None:
    async def scenario() -> None:
        store = Store(tmp_path / "x.db")
        await filled(store, 1)
        (listed,) = await store.runs(limit=9)
        whole = await store.run("run_0")
        assert whole is not None
        assert listed.prompt == whole.prompt[:200]
        assert listed.check == "c" * 200
        first, second = listed.variations
        assert first.condition.instructions == "i" * 200
        assert second.condition.style_text == "s" * 200
        assert first.summary == "u" * 200
        assert first.check is not None
        assert first.check.command == "c" * 200
        assert first.check.output == "o" * 193 + "the end"
        assert listed.selections[0].reason == "r" * 200
        cut = {"prompt", "check", "selections", "variations"}
        assert listed.model_dump(exclude=cut) == whole.model_dump(exclude=cut)
        cut = {"condition", "summary", "check"}
        for short, long in zip(listed.variations, whole.variations, strict=True):
            assert short.model_dump(exclude=cut) == long.model_dump(exclude=cut)
            cut_inside = {"instructions", "style_text"}
            assert short.condition.model_dump(exclude=cut_inside) == long.condition.model_dump(
                exclude=cut_inside
            )
        assert whole.variations[0].condition.instructions == "i" * LONG
        (unfinished,) = await store.unfinished()
        assert unfinished.prompt == whole.prompt[:200]
        # What was to be checked is said of each variation that no longer will be.
        assert unfinished.check == whole.check
        await store.aclose()

    asyncio.run(scenario())


def test_a_list_takes_no_more_memory_for_long_texts(tmp_path: Path) -> None:
    async def scenario() -> None:
        store = Store(tmp_path / "x.db")
        await filled(store, 20)
        await store.runs(limit=1)
        for read in (store.runs(limit=50), store.unfinished()):
            tracemalloc.start()
            assert len(await read) == 20
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            # Of each run there are texts of 400,000 characters, its check of 29,000 among them.
            assert peak < 20 * 2 * 29_000 + 1_000_000
        await store.aclose()

    asyncio.run(scenario())
