"""What an expression may see of a run: read lazily, so that only what it names is built."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from vai.definition.bounds import kind_of
from vai.definition.scan import Path
from vai.domain.graph import StepSpec
from vai.domain.state import Instant, RunState, StepState

ROOTS = ("input", "payload", "run", "steps", "trigger")
ELEMENT = ("index", "item")  # in scope within the definition of a forEach step
STEP_FIELDS = ("status", "result", "error")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHOWN = 20
MAX_DEPTH = 200  # of a value: the CEL library recurses, and past its stack it would end the process


class PathBroken(Exception):
    """A path leads nowhere: the message says where it ends; `part` is what was not found there."""

    def __init__(self, reason: str, part: str | int, *, is_missing: bool) -> None:
        super().__init__(reason)
        self.part = part
        self.is_missing = is_missing  # no such key or element, rather than a value that has none at all


class _Steps(Mapping[str, Mapping[str, Any]]):
    """The steps of a run as expressions see them."""

    def __init__(self, steps: Mapping[str, StepState]) -> None:
        self._steps = steps

    def __getitem__(self, key: str) -> Mapping[str, Any]:
        return _step(self._steps[key])

    def __iter__(self) -> Iterator[str]:
        return iter(self._steps)

    def __len__(self) -> int:
        return len(self._steps)


class Scope:
    """The values in scope of a run's expressions, and of those in the definition of `step`, if given."""

    def __init__(self, state: RunState, step: StepSpec | None = None) -> None:
        self._state = state
        self._element = step if step is not None and step.parent is not None else None

    def read(self, path: Path) -> Any:
        """The value that `path` names. Raises PathBroken."""
        value = self._root(path.root)
        for i, part in enumerate(path.parts):
            try:
                value = _member(value, part)
            except LookupError:
                raise self._broken(path, i, value) from None
        return value

    def narrow(self, paths: tuple[Path, ...]) -> dict[str, Any]:
        """The values in scope for the CEL library, which copies all that it is given: nothing but `paths`.

        Raises RecursionError when one of them is nested too deep for it.
        """
        variables: dict[str, Any] = {}
        for path in sorted(paths, key=lambda path: len(path.parts)):
            self._graft(variables, path)
        return variables

    def names(self) -> list[str]:
        """The names in scope, for people."""
        keys = [key for key in self._state.steps if "[" not in key]  # those of elements cannot be named
        steps = [f"steps.{key}" for key in keys[:_SHOWN]]
        roots = ROOTS if self._element is None else (*ROOTS, *ELEMENT)
        return [*(root for root in roots if root != "steps"), *steps]

    def _root(self, root: str) -> Any:
        state = self._state
        if root == "steps":
            return _Steps(state.steps)
        if root == "run":
            return {
                "id": state.id,
                "attempt": state.attempt,
                "automationId": state.context.automation_id,
                "createdAt": time_text(state.context.created_at),
            }
        if root == "trigger":
            return dict(state.context.trigger)
        if root in ELEMENT:
            return self._of_element(root)
        return state.context.input if root == "input" else state.context.payload

    def _of_element(self, root: str) -> Any:
        spec = self._element
        fan = None if spec is None or spec.parent is None else self._state.steps[spec.parent].fan
        if spec is None or fan is None:
            raise LookupError(root)
        return spec.index if root == "index" else fan.elements[spec.index]

    def _graft(self, variables: dict[str, Any], path: Path) -> None:
        """Copy the objects along `path` with nothing in them but the path, and the value at its end whole."""
        value, target, name = self._root(path.root), variables, path.root
        for part in path.parts:
            if name in target and not isinstance(target[name], _Partial):
                return  # a shorter path has put the whole value there
            if not isinstance(value, Mapping) or not isinstance(part, str):
                break
            target = target.setdefault(name, _Partial())
            if part not in value:
                return
            value, name = value[part], part
        if _is_deeper(value, MAX_DEPTH):
            raise RecursionError
        target.setdefault(name, value)

    def _broken(self, path: Path, i: int, value: Any) -> PathBroken:
        part, here = path.parts[i], Path(path.root, path.parts[:i])
        if isinstance(value, list) and isinstance(part, int):
            return PathBroken(f"{here} has {len(value)} elements, so there is no [{part}].", part, is_missing=True)
        if isinstance(value, Mapping):
            names = ", ".join(str(name) for name in list(value)[:_SHOWN]) or "nothing"
            return PathBroken(f"{here} has no {str(part)!r}; it has {names}.", part, is_missing=True)
        why = ""
        if value is None and here.root == "steps" and len(here.parts) == 2:
            why = f" (the step is {self._state.steps[str(here.parts[0])].status.value})"
        return PathBroken(f"{here} is {kind_of(value)}{why}, so it has no {part!r}.", part, is_missing=False)


class _Partial(dict[str, Any]):
    """An object of which expressions see only some fields."""


def time_text(instant: Instant) -> str:
    """RFC 3339 with milliseconds and Z."""
    moment = _EPOCH + timedelta(milliseconds=instant)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _step(step: StepState) -> Mapping[str, Any]:
    error = step.error
    return {
        "status": step.status.value,
        "result": step.result.value if step.result else None,
        "error": error
        and {
            "type": error.type,
            "message": error.message,
            "retryable": error.retryable,
            "details": error.details,
        },
    }


def _is_deeper(value: Any, levels: int) -> bool:
    if isinstance(value, dict):
        return levels == 0 or any(_is_deeper(inner, levels - 1) for inner in value.values())
    return isinstance(value, list) and (levels == 0 or any(_is_deeper(inner, levels - 1) for inner in value))


def _member(value: Any, part: str | int) -> Any:
    """A member of a value. Raises LookupError."""
    if isinstance(value, Mapping) and isinstance(part, str):
        return value[part]
    if isinstance(value, list) and isinstance(part, int):
        return value[part]
    raise LookupError
