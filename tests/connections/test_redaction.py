"""Secrets are blotted out of texts and data in every form in which they travel."""

import base64
import json
from urllib.parse import quote, quote_plus

import pytest

from vai.execution.redaction import HIDDEN, Redaction

SECRET = 'pa"ss wörd/+&?'


@pytest.mark.parametrize(
    "form",
    [SECRET, quote(SECRET), quote(SECRET, safe=""), quote_plus(SECRET), base64.b64encode(SECRET.encode()).decode()],
)
def test_a_secret_is_found_in_every_form(form: str) -> None:
    redaction = Redaction([{"deep": {"list": [SECRET]}}])
    assert redaction.text(f"before {form} after") == f"before {HIDDEN} after"
    assert redaction.data({form: [form, {"x": f"<{form}>"}]}) == {HIDDEN: [HIDDEN, {"x": f"<{HIDDEN}>"}]}


def test_secrets_within_addresses_json_and_sign_ins_are_found() -> None:
    redaction = Redaction([{"url": "postgres://me:s3cr%2Fet@host/db"}, {"username": "me", "password": "hunter22"}])
    signed = base64.b64encode(b"me:hunter22").decode()
    for text in ("s3cr%2Fet", "s3cr/et", signed, "hunter22"):
        assert redaction.text(f"x{text}y") == f"x{HIDDEN}y"
    assert json.dumps(SECRET)[1:-1] not in Redaction([{"p": SECRET}]).text(json.dumps(SECRET, ensure_ascii=False))


def test_short_values_and_what_is_not_secret_stay() -> None:
    redaction = Redaction([{"pin": "123", "port": 5432, "flag": True}])
    assert redaction.data({"n": 123, "ok": True, "t": "abc 123"}) == {"n": 123, "ok": True, "t": "abc 123"}
    assert redaction.data({"port": 5432}) == {"port": HIDDEN}
