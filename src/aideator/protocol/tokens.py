"""Tokens that open the broker for one variation of one run, and for nothing else.

Every run has a key of its own, derived from the broker's signing secret. So whoever starts
agents may be given the key of one run, and can make no token for another.
"""

import hashlib
import hmac
import time
from typing import Annotated, Literal

import jwt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from aideator.protocol.limits import GRACE_SECONDS, Limits
from aideator.protocol.task import DEFAULT_MODEL, Task

MAX_TOKEN_SECONDS = 2 * 86_400
"""Longest life of a token, in seconds: what was revoked need not be remembered for longer."""

MAX_TOKEN_CHARACTERS = 8192

_ALGORITHM = "HS256"
_CLAIMS = ["run", "variation", "attempt", "models", "exp"]

Cause = Literal["token_invalid", "token_expired"]


class BadTokenError(Exception):
    """A token opens nothing. Neither the text nor the cause repeats it."""

    def __init__(self, cause: Cause) -> None:
        super().__init__(cause)
        self.cause: Cause = cause


class Grant(BaseModel):
    """What a token allows."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    run: str = Field(pattern=r"^[\x21-\x7e]{1,200}$")
    variation: int = Field(ge=1)
    attempt: int = Field(default=1, ge=1)
    models: Annotated[tuple[str, ...], Field(min_length=1, strict=False)]
    """The names that requests may ask for."""
    provider: str | None = None
    """Which of the broker's providers is asked; ``None`` for its default one."""
    variations: int = Field(default=1, ge=1)
    """How many variations the run has."""
    share_usd: float | None = Field(default=None, ge=0)
    """The even share of the run's cap, in US dollars; ``None`` where there is no cap."""
    max_usd: float | None = Field(default=None, ge=0)
    """A cap of the variation's own, in US dollars, whatever siblings leave over."""
    expires: float = Field(alias="exp")
    """Seconds since the epoch."""


def grant_for(
    task: Task, limits: Limits, *, run: str, variation: int, variations: int, attempt: int = 1
) -> Grant:
    """Return what an attempt that begins now may do, until it must end.

    Parameters
    ----------
    limits
        The run's.
    variations
        How many variations the run has.
    """
    own, share = task.condition.limits, limits.max_run_cost_usd
    return Grant(
        run=run,
        variation=variation,
        attempt=attempt,
        models=(task.condition.model or DEFAULT_MODEL,),
        provider=task.condition.provider,
        variations=variations,
        share_usd=None if share is None else share / variations,
        max_usd=own.max_cost_usd if own and own.max_cost_usd else limits.max_cost_usd,
        exp=time.time() + task.limits.max_seconds + GRACE_SECONDS,
    )


def run_secret(signing_secret: str, run: str) -> str:
    """Return the key that signs the tokens of one run."""
    return hmac.new(signing_secret.encode(), b"run:" + run.encode(), hashlib.sha256).hexdigest()


def token_for(secret: str, grant: Grant) -> str:
    """Return the token for ``grant``.

    Parameters
    ----------
    secret
        ``run_secret`` of the grant's run.

    Raises
    ------
    ValueError
        It would be valid for longer than ``MAX_TOKEN_SECONDS``.
    """
    if grant.expires > time.time() + MAX_TOKEN_SECONDS:
        raise ValueError(f"A token can be valid for {MAX_TOKEN_SECONDS} s at most")
    claims = grant.model_dump(mode="json", by_alias=True)
    return jwt.encode(claims, secret, algorithm=_ALGORITHM, headers={"kid": grant.run})


def verified(signing_secret: str, token: str) -> Grant:
    """Return what a token allows.

    Raises
    ------
    BadTokenError
        It was not signed for its run, is not whole, or is no longer valid.
    """
    if len(token) > MAX_TOKEN_CHARACTERS:
        raise BadTokenError("token_invalid")
    try:
        # The header is not to be trusted yet: it only says which key must have signed it all.
        run = jwt.get_unverified_header(token).get("kid")
        if not isinstance(run, str):
            raise BadTokenError("token_invalid")
        key = run_secret(signing_secret, run)
        claims = jwt.decode(token, key, algorithms=[_ALGORITHM], options={"require": _CLAIMS})
        grant = Grant.model_validate(claims)
    except jwt.ExpiredSignatureError:
        raise BadTokenError("token_expired") from None
    except (jwt.PyJWTError, ValidationError, ValueError, OverflowError, RecursionError):
        # PyJWT lets through what JSON allows: half a surrogate, a time without end, brackets
        # in brackets.
        raise BadTokenError("token_invalid") from None
    if grant.run != run or grant.expires > time.time() + MAX_TOKEN_SECONDS:
        raise BadTokenError("token_invalid")
    return grant
