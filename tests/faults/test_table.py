"""Every row of the table of faults has tests that are marked with its number."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROWS = range(1, 26)
MODULES = sorted(Path(__file__).parent.glob("test_[0-9][0-9]_*.py"))


def _calls(tree: ast.AST, mark: str) -> Iterator[ast.Call]:
    """Every `pytest.mark.MARK(...)` of a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == f"pytest.mark.{mark}":
            yield node


def _row_of(path: Path) -> int:
    return int(path.name.split("_")[1])


def test_every_row_has_a_module_of_its_number() -> None:
    assert {_row_of(path) for path in MODULES} == set(ROWS)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_module_is_marked_as_its_row_and_holds_tests(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    (assigned,) = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark"
    ]
    (mark,) = _calls(assigned, "fault")
    assert [ast.literal_eval(argument) for argument in mark.args] == [_row_of(path)]
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert any(name.startswith("test_") for name in names)
    said = ast.get_docstring(tree)
    assert said is not None
    assert said.startswith((f"Fault {_row_of(path)}: ", f"Row {_row_of(path)}: "))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_nothing_is_skipped_without_a_reason_or_expected_to_fail(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert "pytest.mark.skip\n" not in text
    assert not list(_calls(tree, "skip"))
    assert "mark.xfail" not in text
    for call in _calls(tree, "skipif"):
        reasons = [keyword.value for keyword in call.keywords if keyword.arg == "reason"]
        assert [ast.literal_eval(reason) for reason in reasons] != [""]
        assert len(reasons) == 1
