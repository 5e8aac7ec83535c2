"""PDFs as a reader has them."""

import re
import shutil
import subprocess
import zlib
from pathlib import Path

from tests.conftest import missing


def pages_of(path: Path) -> list[str]:
    """The text of each page, laid out as it is on paper."""
    program = shutil.which("pdftotext")
    if program is None:
        missing("no pdftotext: apt-get install poppler-utils")
    read = subprocess.run([program, "-layout", path, "-"], check=True, capture_output=True, text=True)
    return read.stdout.removesuffix("\f").split("\f")


def drawings_of(content: bytes) -> list[tuple[int, int]]:
    """How many rectangles and how many lines each page draws."""
    packed = re.findall(rb"/FlateDecode.*?stream\n(.*?)\nendstream", content, re.DOTALL)
    pages = [zlib.decompress(one) for one in packed]
    return [(len(re.findall(rb"\bre\b", page)), len(re.findall(rb"\bl\b", page))) for page in pages]


def assert_report_of_newtown(path: Path) -> None:
    """It has a cover, contents that name the right page, and a number on every other page."""
    pages = pages_of(path)
    assert "Newtown, NSW" in pages[0]
    assert "Contents" in pages[1]
    for number, page in enumerate(pages[1:], 2):
        assert f"{number}/{len(pages)}" in page.replace(" ", "")
    section = "Agents" if path.name.startswith("agents") else "Agencies"
    (row,) = re.findall(rf"^ *{section} +(\d+)$", pages[1], re.MULTILINE)
    assert section in pages[int(row) - 1], "the contents name the right page"
