"""`approval_gate`: its definition, and the question that it becomes."""

from typing import Any

import pytest

from tests.actions.context import Context
from vai.actions.approval_gate import ApprovalGate
from vai.domain.questions import Question
from vai.domain.status import OnExpire
from vai.ports import Ask

NOW = 1_767_225_600_000  # 2026-01-01T00:00:00Z


async def test_the_question_is_what_the_definition_says(context: Context) -> None:
    definition = {
        "title": "Publish?",
        "message": "7 rows",
        "fields": {"type": "object"},
        "assignees": ["alice", "bob"],
        "expiresInSeconds": 1.5,
        "onExpire": "reject",
        "allowSelfApproval": False,
    }
    asked = await ApprovalGate(lambda: NOW).run(definition, context)
    expected = Question(
        title="Publish?",
        message="7 rows",
        fields={"type": "object"},
        assignees=("alice", "bob"),
        expires_at=NOW + 1500,
        on_expire=OnExpire.REJECT,
        allow_self_approval=False,
    )
    assert asked == Ask(expected)


async def test_without_an_expiry_it_is_open_for_ever(context: Context) -> None:
    asked = await ApprovalGate(lambda: NOW).run({"title": "Go on?"}, context)
    assert asked == Ask(Question("Go on?"))


async def test_it_expires_at_a_point_in_time(context: Context) -> None:
    asked = await ApprovalGate().run({"title": "Go on?", "expiresAt": "2026-01-01T01:00:00+01:00"}, context)
    assert asked.question.expires_at == NOW


@pytest.mark.parametrize(
    ("definition", "loc"),
    [
        ({}, ("title",)),
        ({"title": ""}, ("title",)),
        ({"title": "a", "onExpire": "approve"}, ()),
        ({"title": "a", "expiresInSeconds": 1, "expiresAt": "2026-01-01T00:00:00Z"}, ()),
        ({"title": "a", "expiresInSeconds": 0}, ("expiresInSeconds",)),
        ({"title": "a", "expiresAt": "2026-01-01T00:00:00"}, ("expiresAt",)),
        ({"title": "a", "assignees": [""]}, ("assignees", 0)),
        ({"title": "a", "fields": []}, ("fields",)),
        ({"title": "a", "approvers": ["x"]}, ("approvers",)),
    ],
)
def test_what_does_not_fit_is_told_by_path(definition: Any, loc: tuple[str | int, ...]) -> None:
    assert [fault.loc for fault in ApprovalGate().check(definition)] == [loc]
