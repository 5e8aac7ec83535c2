"""What a run found: on the terminal, in ``results.json``, and as tables between two marks of ``README.md``."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table as RichTable

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
README = HERE / "README.md"
BEGIN, END = "<!-- results: written by `python -m benchmarks` -->", "<!-- end of results -->"
_PACKAGES = ("redis", "hiredis", "uvloop", "httptools", "starlette", "uvicorn", "httpx", "msgspec", "rq")


def _machine() -> str:
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.partition(":")[2].strip()
            for line in info.read_text().splitlines()
            if line.startswith("model name")
        ]
        cpu = names[0] if names else cpu
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return f"{os.cpu_count()} cores, {cpu}, {platform.system()} {platform.release()}, Python {platform.python_version()}{load}"


@dataclass(frozen=True, slots=True)
class Table:
    """One table, as texts.

    Args:
        reach: what the design wants, in words.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    reach: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """What one command measured, and under which circumstances."""

    name: str
    command: str
    tables: Sequence[Table]
    raw: Any
    server: str
    at: str = field(default_factory=lambda: datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"))
    machine: str = field(default_factory=_machine)
    versions: dict[str, str] = field(default_factory=lambda: {name: version(name) for name in _PACKAGES})


def show(section: Section, console: Console) -> None:
    """Print it."""
    for table in section.tables:
        shown = RichTable(
            title=table.title, title_justify="left", caption=table.reach, caption_justify="left"
        )
        for position, column in enumerate(table.columns):
            shown.add_column(column, justify="left" if position == 0 else "right")
        for row in table.rows:
            shown.add_row(*row)
        console.print(shown)


def keep(section: Section) -> None:
    """Write it down; what other commands measured earlier stays."""
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    known[section.name] = asdict(section)
    RESULTS.write_text(json.dumps(known, indent=1) + "\n")
    before, _, rest = README.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    README.write_text(f"{before}{BEGIN}\n{_markdown(known)}{END}{after}")


def _markdown(known: dict[str, Any]) -> str:
    lines = []
    for name in sorted(known):
        section = known[name]
        lines += [
            "",
            f"### {name}",
            "",
            f"`{section['command']}`, {section['at']}, {section['server']}. {section['machine']}.",
        ]
        for table in section["tables"]:
            lines += ["", f"**{table['title']}**" + (f" ({table['reach']})" if table["reach"] else ""), ""]
            lines.append("| " + " | ".join(table["columns"]) + " |")
            lines.append("| --- |" + " ---: |" * (len(table["columns"]) - 1))
            lines += ["| " + " | ".join(row) + " |" for row in table["rows"]]
    return "\n".join([*lines, "", ""])
