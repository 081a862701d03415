"""Secrets blotted out of whatever a step says, as they are and in the forms in which they travel."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus, unquote, urlsplit

import msgspec

HIDDEN = "***"
MIN_LENGTH = 4  # shorter ones would blot out half of every text, and protect nothing


class Redaction:
    """Blots the secret values of some credentials out of texts and data."""

    def __init__(self, credentials: Iterable[Mapping[str, Any]]) -> None:
        values = list(credentials)
        secrets = {text for value in values for text in _texts(value)}
        secrets |= {f"{user}:{word}" for value in values for user, word in _sign_ins(value)}
        forms = {form for secret in secrets if len(secret) >= MIN_LENGTH for form in _forms(secret)}
        self._forms = sorted(forms, key=lambda form: (-len(form), form))

    def text(self, text: str) -> str:
        """The text without the secrets."""
        for form in self._forms:
            if form in text:
                text = text.replace(form, HIDDEN)
        return text

    def data(self, value: Any) -> Any:
        """JSON-able data without the secrets, in the names of its fields either."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.data(name): self.data(member) for name, member in value.items()}
        if isinstance(value, list | tuple):
            return [self.data(member) for member in value]
        if isinstance(value, int | float) and not isinstance(value, bool):
            return HIDDEN if str(value) in self._forms else value
        return value


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
        yield from _password_in(value)
    elif isinstance(value, Mapping):
        for member in value.values():
            yield from _texts(member)
    elif isinstance(value, list | tuple):
        for member in value:
            yield from _texts(member)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)


def _password_in(address: str) -> Iterator[str]:
    try:
        password = urlsplit(address).password if "://" in address else None
    except ValueError:
        return
    if password:
        yield password
        yield unquote(password)


def _sign_ins(credentials: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What HTTP's basic scheme sends encoded in one."""
    user, word = credentials.get("username"), credentials.get("password")
    if isinstance(user, str) and isinstance(word, str):
        yield user, word


def _forms(secret: str) -> Iterator[str]:
    raw = secret.encode(errors="replace")
    yield secret
    yield quote(secret, safe="", errors="replace")
    yield quote(secret, errors="replace")
    yield quote_plus(secret, errors="replace")
    yield msgspec.json.encode(raw.decode())[1:-1].decode()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        coded = encode(raw).decode()
        yield coded
        yield coded.rstrip("=")
