"""Attempts against servers that limit them, over real sockets: who waits is told so."""

import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx

from aideator_gateway.scripted_model.limited import LimitedPlayer
from aideator_gateway.scripted_model.script import HttpError, Reply, Text, Wait
from aideator_gateway.scripted_model.server import Script, ScriptedModel
from tests.support.brokers import RunningBroker, broker_for, configuration, token

# Held back until the one before is answered, however slow this machine is just now.
PATIENT = {"stagger_seconds": 20}


def attempt(broker: RunningBroker, opened: str, turns: int) -> list[tuple[str, float]]:
    """Ask so many times, and wait when told to; return the waits' causes and seconds."""
    waits = []
    answered = 0
    while answered < turns:
        answer = broker.post(opened)
        if cause := answer.headers.get("aideator-wait"):
            assert answer.status_code == 429
            assert answer.json()["error"]["type"] == "rate_limit_error"
            waits.append((cause, float(answer.headers["retry-after"])))
            time.sleep(waits[-1][1])
            continue
        assert answer.status_code == 200, answer.text
        answered += 1
    return waits


def attempts(broker: RunningBroker, count: int, turns: int) -> list[list[tuple[str, float]]]:
    with ThreadPoolExecutor(count) as pool:
        tokens = [token("run_1", n, variations=count) for n in range(1, count + 1)]
        return list(pool.map(lambda opened: attempt(broker, opened, turns), tokens))


def test_five_attempts_share_two_requests_a_second(tmp_path: Path) -> None:
    player = LimitedPlayer(Script(default=[[Text("Done.")]] * 2), requests=2)
    with (
        ScriptedModel(player) as model,
        broker_for(tmp_path, configuration(model.base_url, pacing=PATIENT)) as broker,
    ):
        waits = attempts(broker, 5, turns=2)
        refused = broker.refused()
    assert player.refused
    for (first, seconds), (second, _) in pairwise(player.refused):
        assert second >= first + seconds
    causes = {cause for each in waits for cause, _ in each}
    assert "rate_limited" in causes
    assert causes <= {"rate_limited", "busy", "pacing"}
    assert sum(map(len, waits)) == sum(refused[f"wait_{cause}"] for cause in causes)
    # Ten requests, two a second: nobody was held back for long after the server would have.
    times = sorted(request.time for request in model.requests)
    assert times[-1] - times[0] < 20


def test_an_overloaded_server_is_a_wait_and_then_an_answer(tmp_path: Path) -> None:
    busy: Reply = [HttpError(529, "overloaded_error", "Busy.", headers={"retry-after": "0.5"})]
    with (
        ScriptedModel(Script(default=[busy, [Text("Done.")]])) as model,
        broker_for(tmp_path, configuration(model.base_url)) as broker,
    ):
        ((cause, seconds),) = attempt(broker, token(), turns=1)
    assert (cause, seconds) == ("overloaded", 0.5)


def test_the_last_request_of_a_window_closes_it_for_all(tmp_path: Path) -> None:
    class Headers:
        """Says in its first answer that nothing is left for a second."""

        def __init__(self) -> None:
            self.asked = 0

        def reply(self, _: object) -> Reply:
            self.asked += 1
            # The scripted model's answers carry no such headers but with an error's status.
            later = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 2))
            headers = {
                "anthropic-ratelimit-requests-remaining": "0",
                "anthropic-ratelimit-requests-reset": later,
            }
            return [HttpError(200, "", "", headers=headers, body=b"{}")]

    with (
        ScriptedModel(Headers()) as model,
        broker_for(tmp_path, configuration(model.base_url)) as broker,
    ):
        assert broker.post(token()).headers["anthropic-ratelimit-requests-remaining"] == "0"
        answer = broker.post(token(variation=2))
        assert answer.headers["aideator-wait"] == "rate_limited"
        assert 0.3 < float(answer.headers["retry-after"]) <= 2
        assert len(model.requests) == 1


def test_requests_at_once_are_limited_for_a_provider(tmp_path: Path) -> None:
    reply: Reply = [Text("word"), Wait(0.5), Text("Done.")]
    settings: dict[str, Any] = {"provider": {"max_concurrent": 2}, "pacing": {"successes": 1}}
    with (
        ScriptedModel(Script(default=[reply] * 2)) as model,
        broker_for(tmp_path, configuration(model.base_url, **settings)) as broker,
    ):
        waits = attempts(broker, 5, turns=2)
    times = sorted(request.time for request in model.requests)
    # Each answer takes half a second: a third one begins only after the first has ended.
    for first, third in zip(times, times[2:], strict=False):
        assert third - first > 0.4
    assert {cause for each in waits for cause, _ in each} == {"busy"}


def told(answer: httpx.Response) -> dict[str, float]:
    """Return what an answer says that its request has waited for in the broker."""
    parts = answer.headers.get("aideator-waited", "").split(", ")
    return {cause: float(seconds) for cause, _, seconds in (p.partition("=") for p in parts if p)}


def test_what_was_waited_in_the_broker_is_told_with_the_answer(tmp_path: Path) -> None:
    refusal: Reply = [HttpError(429, "rate_limit_error", "No.", headers={"retry-after": "0.25"})]
    with (
        ScriptedModel(Script(default=[refusal, [Text("Done.")], [Text("Done.")]])) as model,
        broker_for(tmp_path, configuration(model.base_url)) as broker,
    ):
        refused = broker.post(token())
        assert refused.headers["aideator-wait"] == "rate_limited"
        assert told(refused) == {}
        # It does not wait by itself, as it was asked to.
        began = time.monotonic()
        answer = broker.post(token())
        seconds = time.monotonic() - began
        assert (answer.status_code, told(broker.post(token()))) == (200, {})
    assert told(answer).keys() == {"rate_limited"}
    assert 0 < told(answer)["rate_limited"] <= min(seconds, 0.25)


def test_a_wait_in_the_broker_is_told_though_a_refusal_follows(tmp_path: Path) -> None:
    refusals: list[Reply] = [
        [HttpError(429, "rate_limit_error", "No.", headers={"retry-after": seconds})]
        for seconds in ("0.25", "9")
    ]
    with (
        ScriptedModel(Script(default=refusals)) as model,
        broker_for(tmp_path, configuration(model.base_url)) as broker,
    ):
        broker.post(token())
        answer = broker.post(token())
    assert answer.headers["aideator-wait"] == "rate_limited"
    assert float(answer.headers["retry-after"]) > 5
    assert told(answer).keys() == {"rate_limited"}


def test_a_short_wait_is_waited_in_the_broker(tmp_path: Path) -> None:
    # Not answered within the 0.15 s for which the first requests are kept apart.
    reply: Reply = [Wait(0.5), Text("Done.")]
    with (
        ScriptedModel(Script(default=[reply] * 2)) as model,
        broker_for(tmp_path, configuration(model.base_url)) as broker,
    ):
        # The SDK's first request takes longer to be sent.
        assert attempt(broker, token("run_0"), turns=1) == []
        with ThreadPoolExecutor(3) as pool:
            answers = list(pool.map(lambda n: broker.post(token("run_1", n)), (1, 2, 3)))
    assert [answer.status_code for answer in answers] == [200] * 3
    times = sorted(request.time for request in model.requests[1:])
    assert times[-1] - times[0] > 0.2
    # The first one was sent at once, the others when it was their turn.
    assert {cause for answer in answers for cause in told(answer)} == {"pacing"}
    assert max(told(answer).get("pacing", 0) for answer in answers) > 0.05
    assert min(len(told(answer)) for answer in answers) == 0
