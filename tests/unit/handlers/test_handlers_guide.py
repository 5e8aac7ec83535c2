import re
from pathlib import Path

import pytest

from handlers.context import Context
from handlers.decorator import Options
from handlers.registry import default_registry

GUIDE = Path(__file__).parents[3] / "docs" / "handlers.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: str(BLOCKS.index(block) + 1))
def test_the_examples_of_the_guide_run(block: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(default_registry, "_handlers", {})

    exec(compile(block, str(GUIDE), "exec"), {"__name__": "guide"})


def test_the_guide_has_examples() -> None:
    assert len(BLOCKS) >= 6


def test_the_guide_names_every_word_of_the_decorator() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    words = list(Options.__annotations__)

    assert words
    assert [word for word in words if f"| `{word}` |" not in text] == []


def test_the_guide_names_everything_on_the_context() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    ours = {"end", "waits"}  # for who runs the attempt
    names = {name for name in vars(Context) if not name.startswith("_")} - ours

    assert sorted(name for name in names if f"`{name}" not in text) == []
