"""docs/ledger.md and the glossary name what there is, and nothing that there is not."""

import re
from importlib.resources import files
from pathlib import Path

import pytest

from infra.ledger import keys
from infra.ledger.records import CallbackStatus, JobStatus

DOCS = Path(__file__).parents[3] / "docs"
LEDGER = (DOCS / "ledger.md").read_text("utf-8")
GLOSSARY = (DOCS / "glossary.md").read_text("utf-8")
KEYS = {value for name, value in vars(keys).items() if name.isupper()}
SCRIPTS = {
    entry.name.removesuffix(".lua")
    for entry in (files("infra.ledger") / "scripts").iterdir()
    if entry.name.endswith(".lua") and not entry.name.startswith("_")
}


def rows(heading: str) -> dict[str, str]:
    """The first table under a heading: each row's first cell, without marks, and the whole row."""
    section = LEDGER.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    found = re.findall(r"^\| `([^`]+)`.*$", section, re.MULTILINE)
    return dict(zip(found, re.findall(r"^\| `.*$", section, re.MULTILINE), strict=True))


def test_every_script_is_a_row() -> None:
    assert set(rows("Scripts")) == SCRIPTS


def test_every_key_is_a_row() -> None:
    assert {re.sub(r"\{.*", "", name) for name in rows("Keys")} == KEYS


@pytest.mark.parametrize("status", [*JobStatus, *CallbackStatus])
def test_every_status_is_drawn(status: str) -> None:
    drawn = re.findall(r"```mermaid\n(.*?)```", LEDGER, re.DOTALL)
    assert any(re.search(rf"\b{status}\b", diagram) for diagram in drawn)


def test_every_script_that_moves_a_job_or_a_callback_is_an_arrow() -> None:
    arrows = " ".join(re.findall(r"-->.*?: (.*)$", LEDGER, re.MULTILINE))
    drawn = set(re.findall(r"take over|\w+", arrows))
    assert {
        "accept",
        "claim",
        "finish",
        "retry",
        "promote",
        "take over",
        "quarantine",
        "deliver",
        "sweep",
        "retire",
    } <= drawn


@pytest.mark.parametrize(
    "word",
    [
        "source", "provider", "event", "job", "attempt", "handler", "queue", "callback", "dead letter", "replay",
        "lease", "token", "outbox", "seal", "manifest", "sweep", "quarantine",
    ],
)  # fmt: skip
def test_the_glossary_explains(word: str) -> None:
    assert re.search(rf"^\| {word} \| .+ \|$", GLOSSARY, re.MULTILINE)
