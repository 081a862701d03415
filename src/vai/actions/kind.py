"""What the built-in kinds have in common."""

import importlib.util
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from vai.actions.checking import Model
from vai.ports import ActionFailed, Fault


class Kind:
    """A built-in kind: its names, its definition's model, and what it needs installed."""

    kind: str
    title: str
    description: str
    extra: str | None = None
    needs: tuple[str, ...] = ()  # modules that the extra brings

    def __init__(self, definition: type[BaseModel], template: type[BaseModel] | None = None) -> None:
        """`template` is the form that people write, where it is not the form that runs."""
        self.available = all(importlib.util.find_spec(module) is not None for module in self.needs)
        self._model = Model.of(definition)
        self._template = Model.of(template) if template else self._model

    @property
    def definition_schema(self) -> Mapping[str, Any]:
        """The JSON Schema of its definition."""
        return self._template.schema

    def check(self, definition: Any) -> Sequence[Fault]:
        """What is wrong with a definition template."""
        return self._template.check(definition)

    def parse(self, definition: Any) -> Any:
        """The definition as a value of its model; ActionFailed if it does not fit or the extra is missing."""
        if not self.available:
            needed = f"vai-engine[{self.extra}]"
            raise ActionFailed("missing_extra", f"{self.kind} needs {needed}: pip install '{needed}'")
        return self._model.parse(definition)
