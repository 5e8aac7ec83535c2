"""`docs/platform-pains.md`: every trouble has its row, and what stands against it is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROWS = re.findall(
    r"^\| ([0-9]+) \| .+ \| (.+) \|$", (ROOT / "docs" / "platform-pains.md").read_text("utf-8"), re.MULTILINE
)
TESTED = {*range(5, 9), *range(11, 18), *range(19, 22), *range(24, 27)}
WRITTEN = {
    name
    for file in (ROOT / "tests").rglob("test_*.py")
    for name in re.findall(r"^def (test_\w+)", file.read_text("utf-8"), re.MULTILINE)
}


def test_every_trouble_has_one_row() -> None:
    assert [int(number) for number, _ in ROWS] == list(range(1, 28))


@pytest.mark.parametrize(("number", "against"), ROWS, ids=lambda text: text[:2])
def test_what_stands_against_it_is_there(number: str, against: str) -> None:
    named = re.findall(r"`(test_\w+)`", against)
    assert [name for name in named if name not in WRITTEN] == []
    assert bool(named) == (int(number) in TESTED)
    assert named or re.search(r"\[.+\]\(\w+\.md", against)
