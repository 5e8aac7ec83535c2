"""The faults that `docs/guarantees.md` lists, and the tests that inject them: each names the other."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| (F[0-9]{2}) \| .+ \| .+ \| (.+) \|$", re.MULTILINE)
ROWS = ROW.findall((ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8"))


def named_in_tests() -> dict[str, set[str]]:
    """Which tests say that they inject a fault."""
    found: dict[str, set[str]] = {}
    for file in (ROOT / "tests").rglob("test_*.py"):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                for fault in re.findall(r"\bF[0-9]{2}\b", ast.get_docstring(node) or ""):
                    found.setdefault(fault, set()).add(node.name)
    return found


NAMED = named_in_tests()


def test_every_fault_has_one_row() -> None:
    assert [fault for fault, _ in ROWS] == [f"F{number:02}" for number in range(1, 80)]


@pytest.mark.parametrize(("fault", "tests"), ROWS, ids=lambda text: text[:3])
def test_the_tests_of_a_row_name_its_fault(fault: str, tests: str) -> None:
    named = set(re.findall(r"\btest_\w+(?=`)", tests))
    assert named
    assert named <= NAMED[fault]
