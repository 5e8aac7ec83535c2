import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from handlers.errors import HandlerError
from handlers.registry import default_registry, load

Write = Callable[[dict[str, str]], None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Write modules where Python finds them; forget them, and what they declared, afterwards."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(default_registry, "_handlers", {})
    known = set(sys.modules)

    def write_files(files: dict[str, str]) -> None:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True, parents=True)
            path.write_text(text)

    yield write_files
    for name in set(sys.modules) - known:
        if not name.startswith(("handlers", "infra")):
            del sys.modules[name]


def handler_file(function: str, source: str) -> str:
    return (
        f"from handlers import handler\n\n\n@handler({source!r})\ndef {function}(context):\n    return None\n"
    )


def test_every_module_of_a_package_is_loaded_and_those_without_handlers_do_no_harm(write: Write) -> None:
    write(
        {
            "shop/__init__.py": "",
            "shop/orders.py": handler_file("ordered", "orders"),
            "shop/helpers.py": "RATE = 3\n",
            "shop/more/__init__.py": handler_file("at_the_root", "more"),
            "shop/more/returns.py": handler_file("returned", "returns"),
            "shop/__main__.py": "raise SystemExit('not for loading')\n",
        }
    )

    names = sorted(entry.handler for entry in load(["shop"]).manifest())

    assert names == ["shop.more.returns:returned", "shop.more:at_the_root", "shop.orders:ordered"]


def test_modules_can_be_named_one_by_one(write: Write) -> None:
    write({"single.py": handler_file("it", "single"), "other.py": handler_file("that", "other")})

    assert [entry.source for entry in load(["single"]).manifest()] == ["single"]


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("import nowhere_to_be_found\n", "ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
        ("def broken(:\n", "SyntaxError"),
        ("raise SystemExit(3)\n", "SystemExit: 3"),
        ("raise ValueError('first\\nsecond')\n", "ValueError: first second"),
    ],
)
def test_a_module_that_can_not_be_imported_is_named_with_the_cause_in_one_line(
    write: Write, text: str, cause: str
) -> None:
    write({"wrong.py": text})

    with pytest.raises(HandlerError) as caught:
        load(["wrong"])

    assert str(caught.value).startswith(f"the handler module wrong can't be imported: {cause}")
    assert "\n" not in str(caught.value)


def test_a_module_that_is_not_there_is_named(write: Write) -> None:
    with pytest.raises(
        HandlerError, match="handler module missing_module can't be imported: ModuleNotFoundError"
    ):
        load(["missing_module"])


def test_a_wrong_declaration_is_named_where_it_stands(write: Write) -> None:
    write({"hasty.py": handler_file("hasty", "acme").replace("'acme'", "'acme', timeout='soon'")})

    with pytest.raises(HandlerError, match=r"^hasty:hasty \(.*hasty\.py:4\): timeout 'soon': not a duration"):
        load(["hasty"])


def test_the_package_itself_holds_the_fireflies_handlers() -> None:
    entries = {entry.type: entry for entry in load(["handlers"]).manifest() if entry.source == "fireflies"}

    assert sorted(entries) == ["Transcription completed", "meeting.summarized", "meeting.transcribed"]
    assert entries["meeting.summarized"].handler == "handlers.fireflies:meeting_summarized"
    assert entries["meeting.summarized"].queue == "high"
