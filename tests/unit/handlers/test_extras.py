"""Extras: nobody needs one to import a handler, and whoever runs a handler without it is told what to type."""

import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

import handlers
from handlers import montage, playlists, reports, videos
from handlers.extras import EXTRAS
from handlers.testing import run
from infra.ledger.records import Retried

MODULES = sorted({module for modules in EXTRAS.values() for module in modules})
NEWTOWN = {"suburb": "Newtown", "state": "NSW"}
SONG = {"title": "A", "lyrics": "la"}
WORD = {"text": "um", "start": 0, "end": 1}

IMPORTING = f"""
import sys
sys.modules.update(dict.fromkeys({MODULES}))
from handlers.registry import load
print(*sorted(entry.type for entry in load(["handlers"]).manifest()), sep="\\n")
"""


@pytest.mark.slow
def test_all_handlers_are_imported_where_no_extra_is_installed() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORTING], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert {
        "playlists.song",
        "videos.generate",
        "transcripts.process",
        "reports.agency",
        "montage.run",
    } <= set(done.stdout.split("\n"))


@pytest.mark.parametrize(
    ("module", "handler", "payload", "extra"),
    [
        ("yake", playlists.analyze, {"name": "M", "songs": [SONG]}, "playlists"),
        ("vaderSentiment", playlists.one_song, {"song": SONG, "playlist": "job_p"}, "playlists"),
        ("imageio_ffmpeg", videos.generate, {"images": ["file_1"]}, "video"),
        ("numpy", montage.run, {"clips": ["file_1"], "music": "file_2"}, "montage"),
        ("numpy", montage.finalize, {"job": "job_1"}, "montage"),
        ("numpy", montage.transcript_render, {"video": "file_1", "words": [WORD], "remove": [0]}, "montage"),
        ("fpdf", reports.agency, NEWTOWN, "reports"),
        ("fpdf", reports.agents, NEWTOWN, "reports"),
    ],
)
def test_a_handler_without_its_extra_says_what_to_type_and_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, module: str, handler: Any, payload: dict[str, Any], extra: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    attempt = run(handler, payload)
    assert isinstance(attempt.outcome, Retried)
    assert (attempt.outcome.error.type, attempt.outcome.error.message) == (
        "ExtraMissing",
        f"this worker lacks {module}: pip install '.[{extra}]'",
    )
    assert not attempt.enqueued


@pytest.mark.slow  # it reads what all installed packages bring
def test_the_modules_of_an_extra_are_those_that_it_brings() -> None:
    project = tomllib.loads((Path(handlers.__file__).parents[1] / "pyproject.toml").read_text("utf-8"))
    brought = packages_distributions()
    for extra, modules in EXTRAS.items():
        named = {line.split(">=")[0].lower() for line in project["project"]["optional-dependencies"][extra]}
        assert {brought[module][0].lower() for module in modules} == named
