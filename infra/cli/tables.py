"""How commands show what they found: tables and lines for people, one JSON document for programs.

What strangers sent is plain text here: no markup, and no control sequence that a terminal would obey.
"""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click

from infra.words import counted, relative

__all__ = ["counted", "json_text", "print_facts", "print_json", "print_table", "printable", "relative"]


def printable(text: str) -> str:
    r"""The text without what could move a cursor or hide a word; line ends stay.

    >>> printable("a\x1b[2Jb\u202e\nc")
    'a�[2Jb�\nc'
    """
    return "".join(letter if letter.isprintable() or letter == "\n" else "\ufffd" for letter in text)


def json_text(value: Any) -> str:
    """JSON for people to read."""
    return printable(json.dumps(value, indent=2, ensure_ascii=False))


def print_json(value: Any) -> None:
    """The one document of ``--json``, on standard output; ASCII, so that nothing is lost and nothing is obeyed."""
    click.echo(json.dumps(value, indent=2))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Rows under their columns; the first column is never cut or folded."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for place, column in enumerate(columns):
        table.add_column(column, no_wrap=place == 0, overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    _print(table)


def print_facts(facts: Iterable[tuple[str, str | None]]) -> None:
    """One named fact a line; what is None or empty is left out."""
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, fact in facts:
        if fact:
            table.add_row(Text(printable(name), style="bold"), Text(printable(fact)))
    _print(table)


def _print(renderable: Any) -> None:
    """As wide as the terminal; in a pipe as wide as it is, so that a program finds a row on a line."""
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else 10_000, highlight=False)
    with console.capture() as captured:
        console.print(renderable)
    for line in captured.get().splitlines():
        click.echo(line.rstrip())
