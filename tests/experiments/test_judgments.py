"""Judgments: kept once and for good, pairs in a fair order, and what they say together."""

import asyncio
import os
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aideator.protocol import Condition
from aideator_gateway.experiments.beginning import begin
from aideator_gateway.experiments.journal import Journal, JournalError
from aideator_gateway.experiments.judging import JudgingPair, Judgings, NewJudgment, Side
from aideator_gateway.experiments.judgments import (
    AttemptRef,
    Judgment,
    Shown,
    add_judgment,
    choices_of,
    judgments_file,
    latest,
    read_judgments,
    said_of_pairs,
    take_back,
)
from aideator_gateway.experiments.runner import Runner
from aideator_gateway.experiments.statistics.agreement import agreement, alpha
from aideator_gateway.experiments.statistics.choices import Choice
from aideator_gateway.experiments.stop import Stop
from aideator_gateway.runs.model import NewRun, PatchStat
from aideator_gateway.runs.problems import Problem
from tests.experiments.scripted_gateway import (
    Play,
    ScriptedGateway,
    experiment,
    failed,
    journal_of,
)

CONDITIONS = ({"label": "plain"}, {"label": "careful"}, {"label": "quick"})


def judgment(number: int, **fields: Any) -> Judgment:
    given = {
        "id": f"judgment-{number}",
        "task": "one",
        "left": Shown(run_id="run_1", variation_id=1, condition="plain"),
        "right": Shown(run_id="run_1", variation_id=2, condition="careful"),
        "verdict": "left",
        **fields,
    }
    return Judgment.model_validate(given)


def stat(size: int) -> PatchStat:
    return PatchStat(bytes=size, files=1, insertions=1, deletions=0)


def differs(request: NewRun, condition: Condition, before: int) -> dict[str, Any]:
    """Give every attempt a patch of its own."""
    del request
    return {"patch": stat(1000 * before + len(condition.name or ""))}


class Lab:
    """An experiment that was carried out, and its judging."""

    def __init__(self, directory: Path, play: Play = differs, **fields: Any) -> None:
        self.experiment = experiment(**{"conditions": CONDITIONS, **fields})
        self.gateway = ScriptedGateway(play, looks=1)
        self.patches: dict[AttemptRef, bytes] = {}
        self.deleted: set[str] = set()
        with Journal.opened(journal_of(directory)) as journal:
            beginning = begin(journal, self.experiment, {}, model="m", scripted=False)
            runner = Runner(
                beginning, journal, self.gateway, stop=Stop(), tell=lambda _: None, pauses=()
            )
            runner.carry_out()
        self.file = judgments_file(journal_of(directory))
        self.judgings = Judgings(journal_of(directory).parent, self.patch)
        self._number = 0

    async def patch(self, run_id: str, variation_id: int) -> AsyncIterator[bytes]:
        if run_id in self.deleted:
            raise Problem("run_not_found", "It is gone.")
        ref = AttemptRef(run_id=run_id, variation_id=variation_id)

        async def pieces() -> AsyncIterator[bytes]:
            yield self.patches.get(ref, str(ref).encode())

        return pieces()

    def next(self, judge: str | None = None, **how: bool) -> JudgingPair | None:
        return asyncio.run(self.judgings.next("exp", judge, **how)).pair

    def say(self, pair: JudgingPair, verdict: str = "left", judge: str | None = None) -> str:
        self._number += 1
        said = NewJudgment.model_validate(
            {
                "id": f"judgment-{self._number}", "left": ref(pair.left), "right": ref(pair.right),
                "verdict": verdict, "judge": judge,
            }
        )  # fmt: skip
        assert asyncio.run(self.judgings.judge("exp", said))
        return said.id

    def condition(self, side: Side) -> str:
        run = self.gateway.run(side.run_id)
        return run.variations[side.variation_id - 1].condition.name or ""


def ref(side: Side) -> AttemptRef:
    return AttemptRef(run_id=side.run_id, variation_id=side.variation_id)


def key(pair: JudgingPair) -> frozenset[AttemptRef]:
    return frozenset((ref(pair.left), ref(pair.right)))


def test_a_judgment_is_kept_once_and_taken_back_for_good(tmp_path: Path) -> None:
    file = judgments_file(tmp_path / "experiments" / "exp.jsonl")
    assert file.name == "exp.judgments.jsonl"
    assert read_judgments(file) == []
    assert not take_back(file, "judgment-1")
    first, second = judgment(1, judge="Ada", seconds=2.5), judgment(2, verdict="tie")
    assert add_judgment(file, first)
    assert add_judgment(file, second)
    # Sent again, because nobody knew whether it had come through.
    assert not add_judgment(file, first)
    assert read_judgments(file) == [first, second]
    assert take_back(file, "judgment-2") and take_back(file, "judgment-2")
    assert not take_back(file, "judgment-3")
    assert not add_judgment(file, second)
    assert read_judgments(file) == [first]
    assert file.read_bytes().count(b"\n") == 3
    assert file.stat().st_mode & 0o777 == 0o600


def test_half_a_line_is_mended_and_loses_nothing_else(tmp_path: Path) -> None:
    file = judgments_file(tmp_path / "exp.jsonl")
    add_judgment(file, judgment(1))
    whole = file.read_bytes()
    for cut in range(0, len(whole), 9):
        file.write_bytes(whole + whole[:cut])
        assert read_judgments(file) == [judgment_in(whole)]
        assert add_judgment(file, judgment(2))
        assert [one.id for one in read_judgments(file)] == ["judgment-1", "judgment-2"]


def judgment_in(line: bytes) -> Judgment:
    return Judgment.model_validate_json(line)


def test_many_processes_write_at_once_and_no_judgment_is_lost_or_doubled(tmp_path: Path) -> None:
    file = judgments_file(tmp_path / "exp.jsonl")
    go = tmp_path / "go"
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from aideator_gateway.experiments.judgments import *\n"
        "file, go, who = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]\n"
        "side = Shown(run_id='r', variation_id=1, condition='c')\n"
        "print('ready', flush=True)\n"
        "while not go.exists():\n"
        "    time.sleep(0.001)\n"
        "for number in range(100):\n"
        "    for id in (f'{who}-{number:08}', f'shared-{number:08}'):\n"
        "        add_judgment(file, Judgment(id=id, task='t', left=side, right=side,"
        " verdict='tie', judge=who))\n"
    )
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, file, go, who], env=environment, stdout=subprocess.PIPE
        )
        for who in ("a", "b", "c")
    ]
    for process in processes:
        assert process.stdout
        with process.stdout as said:
            assert said.readline() == b"ready\n"
    go.touch()
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    ids = Counter(one.id for one in read_judgments(file))
    assert len(ids) == 4 * 100 and set(ids.values()) == {1}
    assert file.read_bytes().count(b"\n") == 4 * 100


def test_pairs_come_in_a_fair_order_and_none_twice_before_the_others(tmp_path: Path) -> None:
    lab = Lab(tmp_path, repeats=2)
    seen: list[JudgingPair] = []
    # 2 tasks, 3 pairs of conditions, 2 x 2 attempts.
    for number in range(24):
        pair = lab.next()
        assert pair is not None
        assert pair == lab.next()
        assert pair.prompt == f"Do {pair.task}."
        seen.append(pair)
        lab.say(pair, "skip" if number % 5 == 0 else "left")
        cells = Counter(
            (one.task, frozenset(map(lab.condition, (one.left, one.right)))) for one in seen
        )
        for counts, kinds in (
            (cells, 6),
            (Counter(task for task, _ in cells.elements()), 2),
            (Counter(conditions for _, conditions in cells.elements()), 3),
        ):
            assert max(counts.values()) - (min(counts.values()) if len(counts) == kinds else 0) <= 1
    assert len({key(one) for one in seen}) == 24
    for one in seen:
        assert lab.condition(one.left) != lab.condition(one.right)
    # Neither condition has a side of its own, nor has the earlier run, nor the lower number.
    places = [[(side.run_id, side.variation_id) for side in (one.left, one.right)] for one in seen]
    assert {left < right for left, right in places} == {True, False}
    lefts = Counter(lab.condition(one.left) for one in seen)
    assert set(lefts) == {"plain", "careful", "quick"} and min(lefts.values()) >= 3
    assert lab.next() is None
    now = asyncio.run(lab.judgings.next("exp", None))
    assert (now.pairs, now.judged, now.judgments, now.identical) == (24, 24, 24, 0)
    again = lab.next(again=True)
    assert again is not None and key(again) in {key(one) for one in seen}


def test_the_same_seed_and_judgments_say_the_same(tmp_path: Path) -> None:
    def first_ten(directory: Path, seed: int) -> list[JudgingPair]:
        directory.mkdir()
        lab = Lab(directory, seed=seed)
        found = []
        for _ in range(10):
            pair = lab.next()
            assert pair
            found.append(pair)
            lab.say(pair)
        return found

    def words(pairs: Sequence[JudgingPair]) -> list[tuple[str, AttemptRef, AttemptRef]]:
        return [(pair.task, ref(pair.left), ref(pair.right)) for pair in pairs]

    one, same, other = (
        words(first_ten(tmp_path / name, seed)) for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert one == same != other


def test_what_is_said_to_a_judge_names_no_condition(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    told = asyncio.run(lab.judgings.next("exp", None)).model_dump_json()
    assert not [name for name in ("plain", "careful", "quick") if name in told]


def test_judges_go_their_own_ways_or_the_same_if_asked(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    first = lab.next("Ada")
    assert first
    lab.say(first, judge="Ada")
    for_other = lab.next("Bea")
    assert for_other and key(for_other) != key(first)
    overlapping = lab.next("Bea", overlap=True)
    assert overlapping and key(overlapping) == key(first)
    lab.say(overlapping, judge="Bea")
    after = lab.next("Bea", overlap=True)
    assert after and key(after) != key(first)


def test_what_is_taken_back_comes_again(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    pair = lab.next()
    assert pair
    lab.say(pair)
    second = lab.next()
    assert second != pair
    now = asyncio.run(lab.judgings.next("exp", None))
    assert now.last is not None
    asyncio.run(lab.judgings.take_back("exp", now.last))
    assert lab.next() == pair
    with pytest.raises(Problem, match="no judgment"):
        asyncio.run(lab.judgings.take_back("exp", "judgment-99"))


def test_identical_patches_and_what_did_not_complete_are_nobodys_work(tmp_path: Path) -> None:
    def play(request: NewRun, condition: Condition, before: int) -> dict[str, Any]:
        del before
        if condition.name == "quick":
            return failed() if request.prompt == "Do one." else {"patch": None}
        return {"patch": stat(7)}

    lab = Lab(tmp_path, play, repeats=1)
    now = asyncio.run(lab.judgings.next("exp", None))
    assert (now.pairs, now.identical) == (2, 0)
    # The patches of the first task are the same, byte by byte.
    pair = next(one for one in (now.pair, _after(lab, now.pair)) if one and one.task == "one")
    lab.patches.update({ref(side): b"same" for side in (pair.left, pair.right)})
    lab.judgings = Judgings(lab.file.parent, lab.patch)
    now = asyncio.run(lab.judgings.next("exp", None, again=True))
    assert (now.pairs, now.identical) == (1, 1)
    assert now.pair and now.pair.task == "two"


def _after(lab: Lab, pair: JudgingPair | None) -> JudgingPair | None:
    assert pair
    lab.say(pair)
    return lab.next()


def test_a_run_that_was_deleted_is_no_pair_any_more(tmp_path: Path) -> None:
    lab = Lab(tmp_path, repeats=1)
    pair = lab.next()
    assert pair
    lab.deleted.add(pair.left.run_id)
    lab.judgings = Judgings(lab.file.parent, lab.patch)
    other = lab.next()
    assert other and other.task != pair.task
    assert asyncio.run(lab.judgings.next("exp", None)).pairs <= 3 + 2


def test_only_attempts_that_can_be_compared_are_judged(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    pair = lab.next()
    assert pair
    body = {"id": "judgment-1", "left": ref(pair.left), "right": ref(pair.right), "verdict": "tie"}
    nowhere = AttemptRef(run_id="run_none", variation_id=1)
    for wrong in ({"left": nowhere}, {"right": nowhere}, {"right": ref(pair.left)}):
        with pytest.raises(Problem) as raised:
            asyncio.run(lab.judgings.judge("exp", NewJudgment.model_validate({**body, **wrong})))
        assert raised.value.code == "invalid_request"
    for name in ("nothing", "../exp", "exp.judgments"):
        with pytest.raises(Problem, match="no experiment"):
            asyncio.run(lab.judgings.next(name, None))
    lab.file.write_text("nonsense\n")
    with pytest.raises(Problem) as raised:
        lab.next()
    assert raised.value.code == "journal_unusable"
    with pytest.raises(JournalError, match="Line 1"):
        read_judgments(lab.file)


def test_judgments_are_choices() -> None:
    turned = {
        "left": Shown(run_id="run_1", variation_id=2, condition="careful"),
        "right": Shown(run_id="run_1", variation_id=1, condition="plain"),
    }
    said = [
        judgment(1, judge="Ada"),
        judgment(2, judge="Ada", verdict="right", **turned),
        judgment(3, judge="Bea", verdict="tie"),
        judgment(4, verdict="right"),
        judgment(5, verdict="skip"),
        judgment(6, task="gone"),
        judgment(7, verdict="left", judge="Cyd", **turned),
    ]
    # Of a judge who judged a pair twice the later one counts.
    assert [one.id for one in latest(said)] == [f"judgment-{n}" for n in (2, 3, 4, 5, 6, 7)]
    assert choices_of(said, ["zero", "one"], ["careful", "plain"]) == [
        Choice(task=1, first=0, second=1, score=0.0),
        Choice(task=1, first=1, second=0, score=0.5),
        Choice(task=1, first=1, second=0, score=0.0),
        Choice(task=1, first=0, second=1, score=1.0),
    ]
    assert said_of_pairs(said) == {"one": [[1.0, 0.5, 0.0]]}


NOTHING = 0
KRIPPENDORFF = (
    (1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0),
    (1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 3),
    (0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 0),
    (1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0),
)
"""Four observers, twelve units: example C of "Computing Krippendorff's Alpha-Reliability"."""


def test_agreement_is_as_published() -> None:
    units = [[float(v) for v in unit if v != NOTHING] for unit in zip(*KRIPPENDORFF, strict=True)]
    assert alpha(units, "nominal") == pytest.approx(0.743, abs=0.0005)
    assert alpha(units, "ordinal") == pytest.approx(0.815, abs=0.0005)


def test_the_interval_of_agreement_holds_the_truth_as_often_as_it_says() -> None:
    """Two judges who say at random what is better in three of ten pairs: alpha is 0.52."""
    random = np.random.default_rng(7)

    def judged() -> dict[str, list[list[float]]]:
        def said(truth: float) -> float:
            return truth if random.random() > 0.3 else float(random.choice([0, 0.5, 1]))

        found = {}
        for task in range(8):
            left = random.beta(5, 5)
            chances = [0.85 * (1 - left), 0.15, 0.85 * left]
            truths = [float(random.choice([0, 0.5, 1], p=chances)) for _ in range(5)]
            found[str(task)] = [[said(truth), said(truth)] for truth in truths]
        return found

    held = 0
    for _ in range(300):
        found = agreement(judged())
        assert found and found.interval
        held += found.interval.low <= 0.52 <= found.interval.high
    # 95 %, and as far from it as chance takes 300 draws.
    assert held / 300 == pytest.approx(0.95, abs=0.035)


def test_agreement_is_1_for_the_same_and_0_for_chance() -> None:
    same = {f"task {n}": [[1.0, 1.0], [0.0, 0.0], [0.5, 0.5]] for n in range(5)}
    found = agreement(same)
    assert found and found.value == pytest.approx(1.0)
    # All the same tells nothing of how far it may be off.
    assert found.interval is None
    assert (found.tasks, found.attempts) == (5, 15)
    chance = {f"task {n}": [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [0.0, 0.0]] for n in range(50)}
    found = agreement(chance)
    assert found and found.value == pytest.approx(0.0, abs=0.01)
    some = {**chance, **same}
    found = agreement(some)
    assert found and found.interval
    assert -1 < found.interval.low < found.value < found.interval.high < 1
    assert agreement({"task": [[1.0], [0.5]]}) is None
    assert agreement({"task": [[1.0, 1.0]]}) is None
    few = agreement({"task": [[1.0, 1.0], [0.0, 1.0]]})
    assert few and few.interval is None
