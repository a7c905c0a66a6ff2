"""When a request may be sent to a provider: one gate for all who use its key.

What one answer says about limits holds for all. A gate decides and knows nothing of sockets:
it is asked with ``ask``, and told with ``answered`` and ``ended`` how a request went on.

Who must wait holds a ticket. Tickets are served in turn, a run at a time and in a run by age,
so that who waited longest goes first and a run of five is served no more than a run of one. A
ticket whose holder does not come back when it was asked to is void.
"""

import email.utils
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from aideator.protocol.broker import Of, Pacing

Cause = Literal["rate_limited", "overloaded", "busy", "pacing"]
"""``pacing`` keeps a provider's first requests apart: nobody was refused anything yet."""

_SLACK_SECONDS = 1.0
_LONGEST_BACKOFF_SECONDS = 30.0
_REMEMBERED_SECONDS = 60.0
_MOST_SUCCESSES = 48
_BUSY_SECONDS = 1.0
_SHORTEST_SECONDS = 0.02
_FIRST_GUESS_SECONDS = 0.2
"""From a request to its status, until some have been seen."""
_LIMITS = ("requests", "tokens", "input-tokens", "output-tokens")


@dataclass(frozen=True)
class Wait:
    """Come back in so many seconds."""

    seconds: float
    cause: Cause
    held: bool
    """Whether it is short enough to be waited in the broker."""


@dataclass(eq=False)
class Pass:
    """One request that was let through."""

    sent: float
    generation: int
    pending: bool = True
    """Whether its status is not known yet."""


@dataclass
class _Ticket:
    number: int
    due: float = math.inf


@dataclass
class _Run:
    served: int = 0
    tickets: dict[int, _Ticket] = field(default_factory=dict)
    """By variation."""


class Gate:
    """Lets requests to one provider through, or says how long to wait.

    Parameters
    ----------
    max_concurrent
        Requests at once, if that is limited.
    clock
        Seconds that only go forward.
    now
        Seconds since the epoch, for what servers say as a date.
    """

    def __init__(
        self,
        pacing: Pacing,
        max_concurrent: int | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._pacing = pacing
        self._most = max_concurrent or math.inf
        self._clock = clock
        self._now = now
        self._closed_until = -math.inf
        self._cause: Cause = "rate_limited"
        # Until the first refusal a slow answer is no reason to hold back the next request for
        # long: refusals come quickly, answers of a model take their time.
        self._refused = False
        self._missing = pacing.successes
        self._needed = pacing.successes
        self._generation = 0
        self._last_refusal = -math.inf
        self._unexplained = 0
        self._under_way: set[Pass] = set()
        self._runs: dict[str, _Run] = {}
        self._numbers = 0
        self._usual_seconds = _FIRST_GUESS_SECONDS

    def ask(self, who: Of) -> Pass | Wait:
        """Ask to send a request now; a ``Pass`` must be ended by ``ended``."""
        now = self._clock()
        ticket = self._ticket(who, now)
        wait = self._wait(who, now)
        if wait is None:
            self._served(who)
            passed = Pass(now, self._generation)
            self._under_way.add(passed)
            return passed
        ticket.due = now + wait.seconds
        return wait

    def answered(
        self, passed: Pass, who: Of, status: int, headers: Mapping[str, str]
    ) -> Wait | None:
        """Note a request's status, and return the wait where it was refused for its time.

        ``None`` where the answer is the agent's, which includes a refusal that says for the
        n-th time in a row no more than that it is one.
        """
        now = self._clock()
        passed.pending = False
        if status not in (429, 529):
            self._usual_seconds += (now - passed.sent - self._usual_seconds) / 4
            # A fault of the server says nothing about limits.
            if status < 500:
                self._success(passed)
                self._note_remaining(headers, now)
            return None
        hint = _seconds(headers, self._now())
        self._unexplained = 0 if hint is not None else self._unexplained + 1
        repeated = self._unexplained > self._pacing.unexplained
        if hint is None:
            hint = min(_LONGEST_BACKOFF_SECONDS, 2.0 ** min(self._unexplained - 1, 10))
        if passed.generation == self._generation:
            # Of several that were under way together the first one counts.
            soon = now - self._last_refusal < _REMEMBERED_SECONDS
            most = max(_MOST_SUCCESSES, self._pacing.successes)
            self._needed = min(most, self._needed * 2) if soon else self._pacing.successes
            self._last_refusal = now
            self._generation += 1
        self._refused = True
        self._missing = self._needed
        self._close(now + hint, "overloaded" if status == 529 else "rate_limited")
        if repeated:
            return None
        # It waited before all others, so its ticket is older than theirs.
        ticket = self._ticket(who, now)
        ticket.number = -passed.generation - 1
        wait = self._wait(who, now) or Wait(_SHORTEST_SECONDS, self._cause, held=False)
        ticket.due = now + wait.seconds
        return Wait(wait.seconds, wait.cause, held=False)

    def ended(self, passed: Pass) -> None:
        """Note that a request is over, however it ended."""
        passed.pending = False
        self._under_way.discard(passed)

    def forget(self, who: Of) -> None:
        """Void the ticket of an attempt that has ended."""
        if run := self._runs.get(who.run):
            run.tickets.pop(who.variation, None)
            self._tidy()

    def _ticket(self, who: Of, now: float) -> _Ticket:
        for name, run in self._runs.items():
            run.tickets = {
                variation: ticket
                for variation, ticket in run.tickets.items()
                if ticket.due + _SLACK_SECONDS >= now
                or (name, variation) == (who.run, who.variation)
            }
        self._tidy()
        tickets = self._runs.setdefault(who.run, _Run(self._numbers)).tickets
        if who.variation not in tickets:
            self._numbers += 1
            tickets[who.variation] = _Ticket(self._numbers)
        return tickets[who.variation]

    def _tidy(self) -> None:
        self._runs = {name: run for name, run in self._runs.items() if run.tickets}

    def _ahead(self, who: Of) -> int:
        """Return how many tickets are served before this one."""
        turns = []
        for name, run in self._runs.items():
            numbered = sorted(run.tickets.items(), key=lambda item: item[1].number)
            for turn, (variation, ticket) in enumerate(numbered):
                turns.append((turn, run.served, ticket.number, (name, variation)))
        ordered = [key for *_, key in sorted(turns)]
        return ordered.index((who.run, who.variation))

    def _wait(self, who: Of, now: float) -> Wait | None:
        ahead = self._ahead(who)
        if now < self._closed_until:
            closed = self._closed_until - now
            return self._timed(closed + ahead * self._usual_seconds, self._cause)
        if len(self._under_way) + ahead >= self._most:
            return self._timed(_BUSY_SECONDS, "busy")
        if not self._missing:
            return None
        pending = [p for p in self._under_way if p.pending]
        if self._refused:
            if not pending and not ahead:
                return None
            turns = ahead + bool(pending)
            return self._timed(turns * max(self._usual_seconds, _SHORTEST_SECONDS), self._cause)
        stagger = self._pacing.stagger_seconds
        free = max((p.sent + stagger for p in pending), default=now)
        if free <= now and not ahead:
            return None
        seconds = max(free - now, _SHORTEST_SECONDS) + ahead * _SHORTEST_SECONDS
        return Wait(min(seconds, _SHORTEST_SECONDS), "pacing", held=True)

    def _timed(self, seconds: float, cause: Cause) -> Wait:
        seconds = max(seconds, _SHORTEST_SECONDS)
        return Wait(seconds, cause, held=seconds <= self._pacing.hold_seconds)

    def _served(self, who: Of) -> None:
        run = self._runs[who.run]
        run.tickets.pop(who.variation, None)
        self._numbers += 1
        run.served = self._numbers
        self._tidy()

    def _success(self, passed: Pass) -> None:
        self._unexplained = 0
        if passed.generation == self._generation and self._missing:
            self._missing -= 1

    def _note_remaining(self, headers: Mapping[str, str], now: float) -> None:
        for limit in _LIMITS:
            prefix = f"anthropic-ratelimit-{limit}-"
            if headers.get(f"{prefix}remaining", "").strip() != "0":
                continue
            try:
                reset = datetime.fromisoformat(headers.get(f"{prefix}reset", "").strip())
                seconds = reset.timestamp() - self._now()
            except (ValueError, OverflowError, OSError):
                continue
            if seconds > 0:
                self._close(now + seconds, "rate_limited")

    def _close(self, until: float, cause: Cause) -> None:
        until = min(until, self._clock() + self._pacing.longest_seconds)
        if until > self._closed_until:
            self._closed_until = until
            self._cause = cause


def _seconds(headers: Mapping[str, str], now: float) -> float | None:
    """Return how long an answer asks to wait, if it says so in a way that makes sense."""
    text = headers.get("retry-after", "").strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(text).timestamp() - now
        except (ValueError, TypeError, OverflowError):
            return None
    return seconds if math.isfinite(seconds) and seconds > 0 else None
