"""When a failed step is tried again: pure arithmetic."""

from hashlib import blake2b
from math import ceil

from vai.domain.graph import RetryPolicy
from vai.domain.state import Instant, StepError

_LONGEST_SECONDS = 366 * 86_400.0  # whatever a policy or the other side says: the arithmetic stays finite


def may_retry(policy: RetryPolicy, error: StepError, failures: int) -> bool:
    """True when the policy allows another attempt after `failures` of them."""
    if failures >= policy.max_attempts:
        return False
    if policy.on:
        return error.type in policy.on
    return error.retryable


def delay_ms(policy: RetryPolicy, failures: int, seed: str, retry_after_seconds: float | None) -> int:
    """Milliseconds until the next attempt. Jitter takes up to half off, by a hash of `seed`: same in, same out.

    A wait that the other side asked for is never undercut.
    """
    seconds = min(policy.initial_seconds * _power(policy.factor, failures - 1), policy.max_seconds)
    if policy.jitter:
        seconds *= 1 - _fraction(f"{seed}:{failures}") / 2
    return ceil(min(max(seconds, retry_after_seconds or 0.0), _LONGEST_SECONDS) * 1000)


def next_attempt_at(
    policy: RetryPolicy, failures: int, seed: str, retry_after_seconds: float | None, now: Instant
) -> Instant:
    """The point in time of the next attempt."""
    return now + delay_ms(policy, failures, seed, retry_after_seconds)


def _power(factor: float, exponent: int) -> float:
    try:
        return factor**exponent
    except OverflowError:
        return _LONGEST_SECONDS


def _fraction(text: str) -> float:
    return int.from_bytes(blake2b(text.encode(), digest_size=4).digest(), "big") / 2**32
