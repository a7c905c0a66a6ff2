"""Tokens for the broker: what is signed is what comes out, for one run and one time."""

import time

import pytest

from aideator.protocol.tokens import (
    MAX_TOKEN_SECONDS,
    BadTokenError,
    Grant,
    run_secret,
    token_for,
    verified,
)

SECRET = "master-secret-of-this-test-0123456789"  # noqa: S105


def grant(run: str = "run_1", expires: float = 60, **fields: object) -> Grant:
    return Grant.model_validate(
        {"run": run, "variation": 2, "models": ("m-1", "m-2"), "exp": time.time() + expires}
        | fields
    )


def test_what_is_granted_comes_out_as_it_went_in() -> None:
    given = grant(attempt=3, provider="local", variations=5, share_usd=0.1)
    assert verified(SECRET, token_for(run_secret(SECRET, "run_1"), given)) == given


def test_a_runs_secret_makes_tokens_of_that_run_alone() -> None:
    assert run_secret(SECRET, "run_1") != run_secret(SECRET, "run_2")
    with pytest.raises(BadTokenError) as caught:
        verified(SECRET, token_for(run_secret(SECRET, "run_1"), grant("run_2")))
    assert caught.value.cause == "token_invalid"
    # Nor is it a master secret for anything.
    with pytest.raises(BadTokenError):
        verified(SECRET, token_for(run_secret(run_secret(SECRET, "run_1"), "run_1"), grant()))


def test_time_bounds_a_token() -> None:
    with pytest.raises(BadTokenError) as caught:
        verified(SECRET, token_for(run_secret(SECRET, "run_1"), grant(expires=-1)))
    assert caught.value.cause == "token_expired"
    with pytest.raises(ValueError, match="s at most"):
        token_for(run_secret(SECRET, "run_1"), grant(expires=MAX_TOKEN_SECONDS + 5))


def test_an_error_repeats_nothing_of_the_token() -> None:
    bad = token_for("another-secret-0123456789-0123456789", grant())
    with pytest.raises(BadTokenError) as caught:
        verified(SECRET, bad)
    assert not [part for part in bad.split(".") if part in f"{caught.value!r}"]
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("run", ["", "with space", "a\nb", "ü", "x" * 201])
def test_a_runs_name_can_be_sent_as_a_header(run: str) -> None:
    with pytest.raises(ValueError, match="run"):
        grant(run)
