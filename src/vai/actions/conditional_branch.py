"""`conditional_branch`: of several ways on, take the first whose condition holds."""

from typing import Any

from pydantic import Field

from vai.actions.checking import Definition
from vai.actions.kind import Kind
from vai.ports import ActionContext, Branch


class CaseTemplate(Definition):
    """One way on, as people write it."""

    name: str | None = None
    when: str = Field(min_length=1, description="An expression, as in `if`")
    steps: list[str] = Field(description="Keys of the steps that are taken if it holds")


class BranchTemplate(Definition):
    """The ways on, in order, and what is taken when none of the conditions holds."""

    cases: list[CaseTemplate] = Field(min_length=1)
    default: list[str] = Field(default_factory=list)


class Case(Definition):
    """One way on, its condition evaluated."""

    name: str | None = None
    matched: bool
    steps: list[str]


class BranchDefinition(Definition):
    """The ways on, their conditions evaluated."""

    cases: list[Case]
    default: list[str] = Field(default_factory=list)


class ConditionalBranch(Kind):
    """The kind `conditional_branch`."""

    kind = "conditional_branch"
    title = "Conditional branch"
    description = "Takes the steps of the first case whose condition holds; those of the others are skipped."

    def __init__(self) -> None:
        super().__init__(BranchDefinition, BranchTemplate)

    async def run(self, definition: Any, context: ActionContext) -> Any:
        """Answers Branch: `result` says which case was taken (null: the default) and its steps."""
        branch = self.parse(definition)
        number = next((i for i, case in enumerate(branch.cases) if case.matched), None)
        taken = branch.default if number is None else branch.cases[number].steps
        named = [step for case in branch.cases for step in case.steps] + branch.default
        skips = tuple(dict.fromkeys(step for step in named if step not in taken))
        name = None if number is None else branch.cases[number].name or f"case {number + 1}"
        return Branch({"case": name, "steps": taken}, skips)
