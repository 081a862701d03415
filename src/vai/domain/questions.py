"""What people are asked: to approve that a run goes on, or whether an interrupted step had happened."""

from typing import Any

import msgspec

from vai.domain.state import Instant
from vai.domain.status import DecisionKind, OnExpire


class Question(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A question to people. `fields`: the JSON Schema of what they fill in. Without `assignees` anyone may decide."""

    title: str = ""
    message: str | None = None
    kind: DecisionKind = DecisionKind.APPROVAL
    fields: dict[str, Any] | None = None
    assignees: tuple[str, ...] = ()
    expires_at: Instant | None = None
    on_expire: OnExpire = OnExpire.FAIL
    allow_self_approval: bool = True  # False: whoever started the run may not decide
