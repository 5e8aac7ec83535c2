"""Every setting is documented, with its default; nothing else is."""

import re
from pathlib import Path

from infra.settings import Settings, documented_settings

ROOT = Path(__file__).parents[2]
DEFAULTS = {field.metadata["variable"]: field.metadata["default"] for field in documented_settings()}


def test_the_page_has_one_row_per_setting_with_its_default() -> None:
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([A-Z_]+)` \| (.+?) \| .+ \|$", page, re.MULTILINE)
    assert rows == [(variable, _shown(default)) for variable, default in DEFAULTS.items()]


def test_the_example_has_one_line_per_setting_with_its_default() -> None:
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    lines = re.findall(r"^#?([A-Z_]+)=(.*)$", example, re.MULTILINE)
    ours = [(variable, default) for variable, default in lines if not variable.startswith("SOURCE_")]
    assert ours == [(variable, default or "") for variable, default in DEFAULTS.items()]


def test_the_example_as_it_is_changes_nothing() -> None:
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    live = [line for line in example.splitlines() if line and not line.startswith("#")]
    assert live == []
    uncommented = dict(re.findall(r"^#([A-Z_]+)=(.*)$", example, re.MULTILINE))
    assert Settings.load(uncommented) == Settings.load({})


def _shown(default: str | None) -> str:
    if default is None:
        return "none"
    return f"`{default}`" if default else "empty"
