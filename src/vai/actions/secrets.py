"""Secrets in definitions: found where a model declares them, revealed to the child alone, and blotted out elsewhere."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec
from pydantic import BaseModel, SecretStr

HIDDEN = b"***"
MIN_LENGTH = 4  # shorter ones would blot out half of every text, and protect nothing


def secrets_of(value: Any) -> frozenset[str]:
    """Every text in a definition that must not be seen, the passwords inside addresses by themselves."""
    return frozenset(part for secret in _secrets(value) for part in _parts(secret) if len(part) >= MIN_LENGTH)


def revealed(definition: BaseModel) -> Any:
    """A definition as plain data with its secrets in clear, for the child process."""
    return _reveal(definition.model_dump())


def scrubber(secrets: Iterable[str]) -> Callable[[bytes], bytes]:
    """A function that blots the secrets out of a line, plain or as JSON has them."""
    forms = {form for secret in secrets for form in (secret.encode(), msgspec.json.encode(secret)[1:-1])}
    ordered = sorted(forms, key=len, reverse=True)

    def scrub(line: bytes) -> bytes:
        for form in ordered:
            line = line.replace(form, HIDDEN)
        return line

    return scrub


def _secrets(value: Any) -> Iterator[str]:
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _secrets(getattr(value, name))
    elif isinstance(value, Mapping):
        for member in value.values():
            yield from _secrets(member)
    elif isinstance(value, list | tuple):
        for member in value:
            yield from _secrets(member)


def _parts(secret: str) -> Iterator[str]:
    yield secret
    if "://" in secret:
        try:
            password = urlsplit(secret).password
        except ValueError:
            return
        if password:
            yield password
            yield unquote(password)


def _reveal(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, Mapping):
        return {name: _reveal(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_reveal(member) for member in value]
    return value
