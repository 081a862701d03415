"""AES-256-GCM. Apart, because what it is made of takes time to load and most processes never need it."""

import base64
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES = 12


def seal(key: bytes, plain: bytes, bound_to: bytes) -> str:
    """`plain` encrypted as text. Only with the same `bound_to` can it be opened again."""
    nonce = os.urandom(NONCE_BYTES)
    return base64.b64encode(nonce + AESGCM(key).encrypt(nonce, plain, bound_to)).decode()


def unseal(key: bytes, sealed: str, bound_to: bytes) -> bytes | None:
    """What was sealed; None when the key is another, the text was changed, or it was bound to something else."""
    try:
        raw = base64.b64decode(sealed, validate=True)
        return AESGCM(key).decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], bound_to)
    except (InvalidTag, ValueError):
        return None
