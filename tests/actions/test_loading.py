"""Sources of actions: found, or refused with one sentence that says what and where."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from vai.actions import BadActions, registry
from vai.ports import Actions

Make = Callable[[str], Actions]
HEAD = "from vai import Context, action\n@action\n"


@pytest.mark.parametrize(
    "text, sentences",
    [
        ("import nothing_of_that_name", ["No module named 'nothing_of_that_name'", "actions.py:1"]),
        ("def f(:\n", ["SyntaxError", "actions.py:1"]),
        ("x = 1\n\ny = 1 / 0", ["ZeroDivisionError", "actions.py:3"]),
        ("raise SystemExit(3)", ["SystemExit", "actions.py:1"]),
        ("x = 1", ["no function there is marked"]),
        (HEAD + "def wait(): ...", ["'wait'", "a built-in kind", "actions.py:2"]),
        (HEAD + "def approval_gate(): ...", ["'approval_gate'", "a built-in kind"]),
        (HEAD + "def f(x): ...", ["parameter 'x' has no type annotation", "actions.py:2"]),
        (HEAD + "def f(*x: int): ...", ["parameter 'x' cannot be given by name"]),
        (HEAD + "def f(x: int, /): ...", ["parameter 'x' cannot be given by name"]),
        (HEAD + "def f(a: Context, b: Context): ...", ["both 'a' and 'b'"]),
        (HEAD + "def f(x: 'Nowhere'): ...", ["annotations cannot be read", "Nowhere"]),
        (HEAD + "def f(x: type(open)): ...", ["a type that cannot come from JSON"]),
        ("from vai import action\n@action(name='a b')\ndef f(): ...", ["'a b' is not a name"]),
        (HEAD + "def f(): ...\n@action(name='f')\ndef g(): ...", ["'f'", "actions.py:4", "actions.py:2"]),
    ],
)
def test_a_bad_source_is_told_in_one_sentence(actions_of: Make, text: str, sentences: list[str]) -> None:
    with pytest.raises(BadActions) as caught:
        actions_of(text)
    message = str(caught.value)
    assert "\n" not in message
    for sentence in sentences:
        assert sentence in message


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadActions, match="there is no such file"):
        registry([str(tmp_path / "none.py")])


def test_a_module_that_is_not_there() -> None:
    with pytest.raises(BadActions, match="No module named 'none_such'"):
        registry(["none_such.actions"])


def test_a_source_may_import_its_neighbours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "neighbour_one.py").write_text(HEAD + "def near(): ...")
    (tmp_path / "far_one.py").write_text("from neighbour_one import near\n" + HEAD + "def far(): ...")
    found = registry([str(tmp_path / "far_one.py"), "neighbour_one"])
    assert [action.kind for action in found.all()][-2:] == ["near", "far"]


def test_two_sources_with_one_name(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.py").write_text(HEAD + "def same(): ...")
    with pytest.raises(BadActions, match=r"'same' .*two\.py:2.* taken by the one at .*one\.py:2"):
        registry([str(tmp_path / "one.py"), str(tmp_path / "two.py")])


def test_importing_vai_brings_nothing_in() -> None:
    code = "import sys, vai; print([m for m in ('pydantic', 'httpx', 'msgspec', 'vai.ports') if m in sys.modules])"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert shown.stdout.strip() == "[]"


def test_the_registry_brings_neither_httpx_nor_data_libraries_in() -> None:
    code = (
        "import sys; from vai.actions import registry; registry();"
        "print([m for m in ('httpx', 'dlt', 'duckdb', 'pyarrow') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
