"""What a variation may spend: its share, and its part of what others left over."""

import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aideator.broker.pot import Pot
from aideator.protocol.broker import Of
from aideator.protocol.tokens import Grant
from aideator_gateway.scripted_model.script import Model, Reply, Text, TokenCounts
from aideator_gateway.scripted_model.server import Script, ScriptedModel
from tests.support.brokers import (
    SIGNING_SECRET,
    RunningBroker,
    broker_for,
    configuration,
    token,
)

DOLLAR = TokenCounts(500_000, 0)
"""Of the model that tokens are for."""


def grant(variation: int, share: float | None = 1.0, variations: int = 3) -> Grant:
    return Grant(
        run="r", variation=variation, models=("m",), share_usd=share,
        variations=variations, exp=time.time() + 60,
    )  # fmt: skip


def of(variation: int) -> Of:
    return Of(run="r", variation=variation)


def test_what_ended_attempts_left_over_is_shared_by_those_that_work() -> None:
    pot = Pot()
    pot.add(of(1), 0.4)
    assert pot.allowance(grant(2)) == 1
    pot.end(of(1))
    assert pot.allowance(grant(2)) == pytest.approx(1.3)
    assert pot.allowance(grant(3)) == pytest.approx(1.3)
    # The second one used some of that, and went over it by an answer.
    pot.add(of(2), 1.5)
    pot.end(of(2))
    assert pot.allowance(grant(3)) == pytest.approx(1.1)


def test_an_overrun_is_nobodys_share() -> None:
    pot = Pot()
    pot.add(of(1), 7)
    pot.end(of(1))
    assert pot.allowance(grant(2)) == 1


def test_shares_that_are_fixed_and_runs_without_a_cap() -> None:
    fixed, shared = Pot(fixed=True), Pot()
    for pot in (fixed, shared):
        pot.end(of(1))
    assert fixed.allowance(grant(2)) == 1
    assert shared.allowance(grant(2, share=None)) is None


@given(
    st.lists(st.tuples(st.booleans(), st.integers(1, 5), st.floats(0, 0.5)), max_size=60),
    st.integers(1, 5),
)
def test_a_run_never_costs_more_than_its_cap_and_an_answer_each(
    steps: list[tuple[bool, int, float]], variations: int
) -> None:
    pot = Pot()
    ended: set[int] = set()
    for end, number, usd in steps:
        variation = 1 + number % variations
        if variation in ended:
            continue
        if end:
            pot.end(of(variation))
            ended.add(variation)
        elif pot.spent(of(variation)) < (pot.allowance(grant(variation, 1, variations)) or 0):
            pot.add(of(variation), usd)
    total = sum(pot.spent(of(n)) for n in range(1, variations + 1))
    assert total <= variations + 0.5 * variations
    for n in range(1, variations + 1):
        assert (pot.allowance(grant(n, 1, variations)) or 0) >= 1


def post(broker: RunningBroker, variation: int = 1, **claims: Any) -> tuple[int, str, str]:
    """Return status, allowance and limit of an answer."""
    answer = broker.post(token("run_1", variation, **{"share_usd": 1.5, "variations": 2, **claims}))
    if answer.status_code == 403:
        assert answer.json()["error"]["type"] == "billing_error"
    names = ("aideator-allowance-usd", "aideator-limit")
    return answer.status_code, *(answer.headers.get(name, "") for name in names)


def playing(*steps: Any) -> Script:
    reply: Reply = [Text("Done."), *steps]
    return Script(default=[reply] * 20)


def test_an_attempt_ends_at_its_allowance_by_one_answer_at_most(tmp_path: Path) -> None:
    with (
        ScriptedModel(playing(DOLLAR)) as model,
        broker_for(tmp_path, configuration(model.base_url)) as broker,
    ):
        assert post(broker) == (200, "1.500000", "")
        assert post(broker) == (200, "1.500000", "")
        assert post(broker) == (403, "1.500000", "cost")
        assert len(model.requests) == 2
        assert post(broker, 2) == (200, "1.500000", "")
        broker.say(revoke={"run": "run_1", "variation": 2})
        assert broker.line("revoked")["revoked"]["spent_usd"] == 1
        # The other left half a dollar, which is no more than what this one went over by.
        assert post(broker) == (403, "2.000000", "cost")
        assert broker.line("spent")["spent"]["usd"] == 1


def test_who_cannot_write_to_its_input_ends_attempts_over_http(tmp_path: Path) -> None:
    key = "control-key-0123456789"
    with (
        ScriptedModel(playing(DOLLAR)) as model,
        broker_for(
            tmp_path, configuration(model.base_url, control_key={"value": key})
        ) as broker,
    ):  # fmt: skip

        def revoke(given: str, body: object, method: str = "POST") -> tuple[int, str | None]:
            headers = {"authorization": f"Bearer {given}"}
            answer = broker.http.request(method, "/revoke", json=body, headers=headers)
            return answer.status_code, answer.headers.get("aideator-refused")

        second = {"run": "run_1", "variation": 2}
        for given in ("none", "x" * len(key), token("run_1", 1), SIGNING_SECRET):
            assert revoke(given, second) == (401, "control_refused")
        assert revoke(key, second, "GET") == (401, "control_refused")
        assert revoke(key, {"run": "run_1"}) == (400, "no_attempt")
        assert revoke(key, [second]) == (400, "no_object")
        assert post(broker, 2) == (200, "1.500000", "")
        assert revoke(key, second) == (200, None)
        assert broker.post(token("run_1", 2)).headers["aideator-refused"] == "token_revoked"
        # Half a dollar of it was left over.
        assert post(broker) == (200, "2.000000", "")
        assert broker.refused()["control_refused"] == 5
        assert key not in broker.errors


def test_without_such_a_key_nothing_is_served_for_it(tmp_path: Path) -> None:
    with broker_for(tmp_path, configuration("http://127.0.0.1:9")) as broker:
        headers = {"authorization": "Bearer none"}
        answer = broker.http.post("/revoke", json={"run": "r", "variation": 1}, headers=headers)
        assert (answer.status_code, answer.headers["aideator-refused"]) == (404, "other_path")


def test_a_broker_that_is_started_again_goes_on_from_what_it_is_given(tmp_path: Path) -> None:
    with ScriptedModel(playing(DOLLAR)) as model:
        config = configuration(
            model.base_url,
            spent=[{"run": "run_1", "variation": 1, "usd": 1.6}],
            revoked=[{"run": "run_1", "variation": 2}],
        )
        with broker_for(tmp_path, config) as broker:
            assert post(broker) == (200, "3.000000", "")
            ended = broker.post(token("run_1", 2))
            assert ended.headers["aideator-refused"] == "token_revoked"
        with broker_for(tmp_path, {**config, "fixed_shares": True}) as broker:
            assert post(broker) == (403, "1.500000", "cost")


def test_a_day_that_is_spent_ends_all_until_the_next(tmp_path: Path) -> None:
    with (
        ScriptedModel(playing(DOLLAR)) as model,
        broker_for(tmp_path, configuration(model.base_url, day_limit_usd=0.0)) as broker,
    ):
        assert post(broker) == (403, "1.500000", "day_cost")
        assert post(broker, share_usd=None) == (403, "", "day_cost")
        broker.say(day_limit_usd=100.0, report=True)
        broker.line("report")
        assert post(broker)[0] == 200


def test_a_days_limit_holds_for_the_answers_of_all_runs(tmp_path: Path) -> None:
    with (
        ScriptedModel(playing(DOLLAR)) as model,
        broker_for(tmp_path, configuration(model.base_url, day_limit_usd=1.5)) as broker,
    ):
        # By itself: who started it may be late to say that a day is spent.
        answers = [broker.post(token(f"run_{number}")).status_code for number in range(3)]
        assert answers == [200, 200, 403]
        broker.say(day_limit_usd=2.5, report=True)
        broker.line("report")
        answers = [broker.post(token(f"run_{number}")).status_code for number in range(3, 5)]
        assert answers == [200, 403]


@pytest.mark.parametrize("priced", [False, True])
def test_prices_are_the_providers_or_the_tables_and_unknown_ones_count_nothing(
    tmp_path: Path, *, priced: bool
) -> None:
    price = {"input": 4.0, "output": 0, "cache_write": 0, "cache_read": 0}
    provider = {"prices": {"llama": price}} if priced else {}
    with (
        ScriptedModel(playing(DOLLAR, Model("llama"))) as model,
        broker_for(tmp_path, configuration(model.base_url, provider=provider)) as broker,
    ):
        assert post(broker)[0] == 200
        spent = broker.line("spent")["spent"]
        assert (spent["model"], spent["usd"]) == ("llama", 2.0 if priced else None)
        assert post(broker)[0] == (403 if priced else 200)
