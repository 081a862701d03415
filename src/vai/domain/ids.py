"""Ids that follow from what they name, so that deciding stays pure."""

from hashlib import blake2b

from vai.domain.state import Instant


def action_run_id(run_id: str, step_key: str, attempt: int, at: Instant) -> str:
    """The id of a step's action run in one attempt: a UUIDv7 whose random part is a hash of its name."""
    name = f"{run_id}:{step_key}:{attempt}".encode()
    noise = int.from_bytes(blake2b(name, digest_size=10).digest(), "big")
    value = (at & 0xFFFF_FFFF_FFFF) << 80 | noise
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def idempotency_key(run_id: str, step_key: str, attempt: int) -> str:
    """What an action may hand to the outside: the same over automatic retries and interrupts."""
    return f"{run_id}:{step_key}:{attempt}"
