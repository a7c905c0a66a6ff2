"""Who may send when: a gate under a clock of the test's own."""

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aideator.broker.pace import Gate, Pass, Wait
from aideator.protocol.broker import Of, Pacing

EPOCH = 1_800_000_000.0


@dataclass
class World:
    """A clock, and what happens at which time."""

    time: float = 0.0
    _events: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def at(self, time: float, do: Callable[[], None]) -> None:
        heapq.heappush(self._events, (time, next(self._numbers), do))

    def run(self, until: float = 1000) -> None:
        while self._events and self._events[0][0] <= until:
            self.time, _, do = heapq.heappop(self._events)
            do()

    def gate(self, most: int | None = None, **pacing: float) -> Gate:
        return Gate(
            Pacing.model_validate(pacing), most,
            clock=lambda: self.time, now=lambda: EPOCH + self.time,
        )  # fmt: skip


def of(run: str, variation: int = 1) -> Of:
    return Of(run=run, variation=variation)


def passed(gate: Gate, who: Of) -> Pass:
    found = gate.ask(who)
    assert isinstance(found, Pass), found
    return found


def waits(gate: Gate, who: Of) -> Wait:
    found = gate.ask(who)
    assert isinstance(found, Wait)
    return found


def refuse(gate: Gate, who: Of) -> None:
    """Send a request that is refused for a second."""
    one = passed(gate, who)
    assert gate.answered(one, who, 429, {"retry-after": "1"})
    gate.ended(one)


def opened(world: World, most: int | None = None, **pacing: float) -> Gate:
    """Return a gate of a provider that has answered well."""
    gate = world.gate(most, **pacing)
    for _ in range(int(pacing.get("successes", 3))):
        one = passed(gate, of("first"))
        assert gate.answered(one, of("first"), 200, {}) is None
        gate.ended(one)
    return gate


def test_a_provider_that_answers_well_is_asked_without_end() -> None:
    gate = opened(World())
    for n in range(100):
        passed(gate, of("a", n))


def test_the_first_requests_go_one_by_one_but_do_not_wait_for_slow_answers() -> None:
    world = World()
    gate = world.gate(stagger_seconds=0.15)
    passed(gate, of("a", 1))
    assert waits(gate, of("a", 2)).held
    world.time = 0.16
    second = passed(gate, of("a", 2))
    assert waits(gate, of("a", 3)).held
    gate.answered(second, of("a", 2), 200, {})
    # The first one has been under way for long enough, too.
    passed(gate, of("a", 3))


@pytest.mark.parametrize(
    ("status", "headers", "seconds", "cause"),
    [
        (429, {"retry-after": "7"}, 7, "rate_limited"),
        (429, {"retry-after": "0.25"}, 0.25, "rate_limited"),
        (529, {"retry-after": "3"}, 3, "overloaded"),
        (529, {}, 1, "overloaded"),
        (429, {"retry-after": "Fri, 15 Jan 2027 08:00:20 GMT"}, 20, "rate_limited"),
        (429, {"retry-after": "Fri, 15 Jan 2021 08:00:00 GMT"}, 1, "rate_limited"),
        (429, {"retry-after": "nan"}, 1, "rate_limited"),
        (429, {"retry-after": "-5"}, 1, "rate_limited"),
        (429, {"retry-after": "soon"}, 1, "rate_limited"),
        # A server's nonsense does not close a key for ever.
        (429, {"retry-after": "99999999"}, 300, "rate_limited"),
    ],
)
def test_a_refusal_of_one_is_a_wait_for_all(
    status: int, headers: dict[str, str], seconds: float, cause: str
) -> None:
    world = World()
    gate = opened(world)
    one = passed(gate, of("a"))
    wait = gate.answered(one, of("a"), status, headers)
    assert wait is not None
    assert wait.seconds == pytest.approx(seconds)
    assert (wait.cause, wait.held) == (cause, False)
    gate.ended(one)
    assert waits(gate, of("b")).seconds >= seconds
    world.time += seconds + 0.001
    again = passed(gate, of("a"))
    # And then one at a time.
    assert waits(gate, of("b")).cause == cause
    gate.answered(again, of("a"), 200, {})
    passed(gate, of("b"))


def test_headers_of_a_good_answer_close_the_gate_too() -> None:
    world = World()
    gate = opened(world)
    one = passed(gate, of("a"))
    headers = {
        "anthropic-ratelimit-requests-remaining": "3",
        "anthropic-ratelimit-requests-reset": "2027-01-15T09:00:00Z",
        "anthropic-ratelimit-input-tokens-remaining": "0",
        "anthropic-ratelimit-input-tokens-reset": "2027-01-15T08:00:12Z",
        "anthropic-ratelimit-tokens-remaining": "0",
        "anthropic-ratelimit-tokens-reset": "whenever",
    }
    assert gate.answered(one, of("a"), 200, headers) is None
    wait = waits(gate, of("b"))
    assert wait.seconds == pytest.approx(12)
    assert (wait.cause, wait.held) == ("rate_limited", False)
    world.time = 12.5
    passed(gate, of("b"))


@pytest.mark.parametrize("status", [400, 401, 404, 413, 500, 503])
def test_other_errors_are_the_agents_and_close_nothing(status: int) -> None:
    gate = opened(World())
    one = passed(gate, of("a"))
    assert gate.answered(one, of("a"), status, {"retry-after": "60"}) is None
    passed(gate, of("b"))


def test_a_server_that_refuses_without_end_and_reason_is_shown_to_the_agent() -> None:
    world = World()
    gate = opened(world, unexplained=3)
    seconds = []
    for _ in range(3):
        one = passed(gate, of("a"))
        wait = gate.answered(one, of("a"), 529, {})
        assert wait
        gate.ended(one)
        seconds.append(wait.seconds)
        world.time += wait.seconds
    assert seconds == [1, 2, 4]
    one = passed(gate, of("a"))
    assert gate.answered(one, of("a"), 529, {}) is None


def test_runs_take_turns_and_inside_a_run_the_oldest_goes_first() -> None:
    world = World()
    gate = opened(world, successes=10)
    refuse(gate, of("a", 1))
    waiting = [of("a", 1), of("a", 2), of("a", 3), of("b", 1), of("b", 2)]
    for who in waiting[1:]:
        world.time += 0.01
        waits(gate, who)
    world.time = 1.1
    order = []
    while waiting:
        for who in list(waiting):
            found = gate.ask(who)
            if isinstance(found, Pass):
                gate.answered(found, who, 200, {})
                gate.ended(found)
                order.append((who.run, who.variation))
                waiting.remove(who)
    assert order == [("a", 1), ("b", 1), ("a", 2), ("b", 2), ("a", 3)]


def test_who_is_refused_again_keeps_its_turn() -> None:
    world = World()
    gate = opened(world)
    refuse(gate, of("a", 1))
    waits(gate, of("a", 2))
    world.time = 1.1
    refuse(gate, of("a", 1))
    world.time = 2.2
    waits(gate, of("a", 2))
    passed(gate, of("a", 1))


@pytest.mark.parametrize(("between", "needed"), [(5, 6), (90, 3)])
def test_refusals_soon_after_each_other_make_it_more_careful(between: float, needed: int) -> None:
    world = World()
    gate = opened(world)
    for _ in range(2):
        refuse(gate, of("a", 1))
        world.time += between
    for n in range(needed):
        one = passed(gate, of("a", 1))
        waits(gate, of("b", n))
        gate.forget(of("b", n))
        gate.answered(one, of("a", 1), 200, {})
        gate.ended(one)
    passed(gate, of("d", 1))
    passed(gate, of("d", 2))


def test_who_does_not_come_back_holds_up_nobody_for_long() -> None:
    world = World()
    gate = opened(world)
    refuse(gate, of("a"))
    waits(gate, of("b"))
    world.time = 1.5
    # The first one's turn it is, but it is gone.
    waits(gate, of("b"))
    world.time = 2.2
    passed(gate, of("b"))


def test_an_attempt_that_has_ended_holds_up_nobody() -> None:
    world = World()
    gate = opened(world)
    refuse(gate, of("a"))
    waits(gate, of("b"))
    gate.forget(of("a"))
    world.time = 1.1
    passed(gate, of("b"))


def test_requests_at_once_are_limited_and_free_ones_go_to_who_waited() -> None:
    world = World()
    gate = opened(world, 2)
    first, _second = passed(gate, of("a", 1)), passed(gate, of("a", 2))
    gate.answered(first, of("a", 1), 200, {})
    assert waits(gate, of("a", 3)).cause == "busy"
    gate.ended(first)
    # Not the one that comes by just now.
    assert waits(gate, of("b")).cause == "busy"
    passed(gate, of("a", 3))


def test_a_request_that_came_to_nothing_does_not_keep_the_gate_shut() -> None:
    world = World()
    gate = opened(world)
    refuse(gate, of("a"))
    world.time = 1.1
    lost = passed(gate, of("a"))
    waits(gate, of("b"))
    gate.ended(lost)
    passed(gate, of("b"))


def test_a_flight_of_refusals_counts_once() -> None:
    world = World()
    gate = opened(world)
    flight = [passed(gate, of("a", n)) for n in range(5)]
    for n, one in enumerate(flight):
        assert gate.answered(one, of("a", n), 429, {"retry-after": "1"})
        gate.ended(one)
    world.time = 1.2
    for n in range(3):
        one = passed(gate, of("a", n))
        gate.answered(one, of("a", n), 200, {})
        gate.ended(one)
    # Three in a row were enough: all others may go at once.
    passed(gate, of("a", 3))
    passed(gate, of("a", 4))


@settings(deadline=None, max_examples=60)
@given(
    variations=st.lists(st.integers(1, 5), min_size=1, max_size=3),
    requests=st.integers(1, 5),
    allowed=st.integers(1, 2),
    window=st.floats(0.5, 3),
    latency=st.floats(0.001, 0.1),
    thinking=st.floats(0, 0.3),
    said=st.booleans(),
)
def test_all_get_through_a_narrow_server_and_no_window_sees_two_refusals(
    *, variations: list[int], requests: int, allowed: int, window: float, latency: float,
    thinking: float, said: bool,
) -> None:  # fmt: skip
    world = World()
    gate = world.gate()
    let_in: deque[float] = deque(maxlen=allowed)
    refused: list[tuple[float, float]] = []
    done: list[Of] = []

    def server() -> tuple[int, dict[str, str]]:
        if len(let_in) == allowed and (wait := let_in[0] + window - world.time) > 1e-9:
            refused.append((world.time, wait if said else 1.0))
            return 429, {"retry-after": f"{wait:.9f}"} if said else {}
        let_in.append(world.time)
        return 200, {}

    def ask(who: Of, left: int) -> None:
        found = gate.ask(who)
        if isinstance(found, Wait):
            world.at(world.time + found.seconds, lambda: ask(who, left))
            return
        status, headers = server()
        world.at(world.time + latency, lambda: answer(who, left, found, status, headers))

    def answer(who: Of, left: int, one: Pass, status: int, headers: dict[str, str]) -> None:
        wait = gate.answered(one, who, status, headers)
        gate.ended(one)
        if status == 200:
            done.append(who)
            left -= 1
        after = wait.seconds if wait else thinking
        if left:
            world.at(world.time + after, lambda: ask(who, left))

    for run, count in enumerate(variations):
        for variation in range(1, count + 1):
            world.at(0.001 * variation, partial(ask, of(f"run_{run}", variation), requests))
    total = sum(variations) * requests
    # Half as fast as the server would let them, at worst, and a word to begin with.
    world.run(until=10 + 3 * (window + 2 * latency + thinking) * total / allowed)
    assert len(done) == total
    for (first, wait), (second, _) in itertools.pairwise(refused):
        assert second >= first + wait - 1e-6
