"""Secrets in definitions: found, revealed to the child alone, and blotted out of text."""

from typing import Any

import pytest

from vai.actions.dlt_definition import ExtractDefinition
from vai.actions.masking import masked
from vai.actions.secrets import revealed, scrubber, secrets_of

EXTRACT: dict[str, Any] = {
    "source": {
        "type": "rest_api",
        "baseUrl": "https://x",
        "headers": {"X-Key": "header-key"},
        "auth": {"type": "bearer", "token": "the-token"},
        "tables": [{"name": "t", "path": "/t"}],
    },
    "destination": {"type": "postgres", "url": "postgresql://me:p%40ss@host/db"},
}


def test_all_of_them_are_found_passwords_in_addresses_too() -> None:
    found = secrets_of(ExtractDefinition.model_validate(EXTRACT))
    assert found == {"header-key", "the-token", "postgresql://me:p%40ss@host/db", "p%40ss", "p@ss"}


def test_a_definition_does_not_show_them_and_the_child_gets_them() -> None:
    definition = ExtractDefinition.model_validate(EXTRACT)
    assert "the-token" not in repr(definition)
    assert revealed(definition)["source"]["auth"]["token"] == "the-token"


def test_scrubbing_knows_how_json_writes_them() -> None:
    assert scrubber({'a"b\\c'})(b'{"x":"a\\"b\\\\c"} a"b\\c') == b'{"x":"***"} ***'


@pytest.mark.parametrize(
    "text, shown",
    [
        ("postgres://me:secret@host/x", "postgres://me:***@host/x"),
        ("password=secret host=x", "password=*** host=x"),
        ('{"m":"PGPASSWORD=secret"}', '{"m":"PGPASSWORD=***"}'),
        ("api_key = secret, next", "api_key = ***, next"),
        ("https://host:80/x a@b", "https://host:80/x a@b"),
    ],
)
def test_masking(text: str, shown: str) -> None:
    assert masked(text.encode()).decode() == shown
