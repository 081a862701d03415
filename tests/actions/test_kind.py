"""A kind whose extra is not installed."""

import pytest

from vai.actions.duckdb_transform import TransformDefinition
from vai.actions.kind import Kind
from vai.ports import ActionFailed


class Absent(Kind):
    kind = "absent_kind"
    title = "Absent"
    description = "Needs what nobody has."
    extra = "data"
    needs = ("json", "no_module_of_this_name")

    def __init__(self) -> None:
        super().__init__(TransformDefinition)


def test_a_missing_extra_is_told_with_what_to_do() -> None:
    kind = Absent()
    assert not kind.available
    assert list(kind.check({"database": "x", "sql": "select 1"})) == []
    with pytest.raises(ActionFailed) as caught:
        kind.parse({"database": "x", "sql": "select 1"})
    assert caught.value.error.type == "missing_extra"
    assert str(caught.value) == "absent_kind needs vai-engine[data]: pip install 'vai-engine[data]'"
