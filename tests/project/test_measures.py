"""The measures for the code: sizes of files and functions, numbers of parameters, purity, and clean files."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "vai"
SOURCES = sorted(PACKAGE.rglob("*.py"))

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 40
MAX_PARAMETERS = 6

# Where a long list of parameters is a list of options and not a burden on a caller.
OPTIONS = ("cli", "settings")

MACHINE_PATHS = re.compile(r"(?<![\w.~}-])/(?:work|root|home)/")
REGISTRIES = re.compile(r"\b(?:pypi|pythonhosted|npmjs|yarnpkg)\.(?:org|com)\b")
HASH_LINE = re.compile(r"^ +--hash=")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(tree: ast.AST, in_class: bool = False) -> Iterator[tuple[Function, bool]]:
    """Every function with whether it is a method."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, Function):
            yield node, in_class
        yield from functions(node, isinstance(node, ast.ClassDef))


def parameters(function: Function, is_method: bool) -> int:
    args = function.args
    bound = is_method and not any(isinstance(d, ast.Name) and d.id == "staticmethod" for d in function.decorator_list)
    return len(args.posonlyargs) + len(args.args) + len(args.kwonlyargs) - bound


def tracked_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.split("\0") if name]


def lines_that_match(pattern: re.Pattern[str]) -> list[str]:
    found = []
    for path in tracked_files():
        if not path.is_file() or b"\0" in (content := path.read_bytes()):
            continue
        for number, line in enumerate(content.decode(errors="replace").splitlines(), 1):
            if pattern.search(line) and not HASH_LINE.match(line):
                found.append(f"{name_of(path)}:{number}: {line.strip()[:100]}")
    return found


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_a_file_is_short(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines <= MAX_FILE_LINES


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_functions_are_short(path: Path) -> None:
    long = {
        f"{function.name} (line {function.lineno})": lines
        for function, _ in functions(ast.parse(path.read_text()))
        if (lines := (function.end_lineno or 0) - function.lineno + 1) > MAX_FUNCTION_LINES
    }
    assert not long


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_functions_have_few_parameters(path: Path) -> None:
    if path.relative_to(PACKAGE).with_suffix("").parts[0] in OPTIONS:
        pytest.skip("its parameters are options")
    many = {
        f"{function.name} (line {function.lineno})": count
        for function, is_method in functions(ast.parse(path.read_text()))
        if function.name != "__init__" and (count := parameters(function, is_method)) > MAX_PARAMETERS
    }
    assert not many


@pytest.mark.parametrize("path", sorted((PACKAGE / "domain").rglob("*.py")), ids=name_of)
def test_the_domain_is_pure(path: Path) -> None:
    imported = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(f"{'.' * node.level}{node.module or ''}")
    allowed = {*sys.stdlib_module_names, "msgspec"}
    foreign = {
        name for name in imported if not name.startswith((".", "vai.domain")) and name.split(".")[0] not in allowed
    }
    assert not foreign


def test_no_file_names_a_path_of_one_machine() -> None:
    assert lines_that_match(MACHINE_PATHS) == []


def test_no_file_names_a_package_registry() -> None:
    assert lines_that_match(REGISTRIES) == []


def test_type_checkers_of_others_read_our_types() -> None:
    """The classifier `Typing :: Typed` says so, and this file in the package makes it so."""
    assert (ROOT / "src/vai/py.typed").is_file()
