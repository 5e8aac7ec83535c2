"""The attacks that `docs/security-tests.md` lists, and the tests that try them: each names the other."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| (A[0-9]{3}(?: to A[0-9]{3})?) \| .+ \| .+ \| (.+) \|$", re.MULTILINE)
ATTACKS = re.compile(r"\bA([0-9]{3})(?: to A([0-9]{3}))?\b")


def attacks_in(text: str) -> list[str]:
    """The numbers in a text; ``A054 to A065`` stands for twelve."""
    return [
        f"A{number:03}"
        for first, last in ATTACKS.findall(text)
        for number in range(int(first), int(last or first) + 1)
    ]


def named_in_docs() -> dict[str, set[str]]:
    """The tests of each attack, as the page has them."""
    page = (ROOT / "docs" / "security-tests.md").read_text(encoding="utf-8")
    return {
        attack: set(re.findall(r"`(test_\w+\.py::test_\w+)`", tests))
        for attacks, tests in ROW.findall(page)
        for attack in attacks_in(attacks)
    }


def named_in_tests() -> dict[str, set[str]]:
    """The tests that say that they try an attack."""
    found: dict[str, set[str]] = {}
    for file in (ROOT / "tests").rglob("test_*.py"):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                for attack in attacks_in(ast.get_docstring(node) or ""):
                    found.setdefault(attack, set()).add(f"{file.name}::{node.name}")
    return found


IN_DOCS, IN_TESTS = named_in_docs(), named_in_tests()


def test_the_attacks_stand_in_their_order_and_are_all_there() -> None:
    untested, unnumbered = {81}, {77, 103, 106, 107, 109}  # a reason stands below the table; no such attack
    numbers = [number for number in range(1, 109) if number not in untested | unnumbered]
    assert list(IN_DOCS) == [f"A{number:03}" for number in numbers]


@pytest.mark.parametrize("attack", sorted(IN_DOCS.keys() | IN_TESTS.keys()))
def test_an_attack_has_the_tests_that_name_it(attack: str) -> None:
    assert IN_TESTS.get(attack) == IN_DOCS.get(attack)
