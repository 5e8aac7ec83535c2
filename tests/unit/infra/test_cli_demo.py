"""`hookline demo` where something is missing."""

import sys

import pytest
from click.testing import CliRunner

from infra.cli.demo import SYSTEMS, command


def test_what_has_to_be_installed_first_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fpdf", None)
    said = CliRunner().invoke(command, ["reports"])
    assert (said.exit_code, said.output) == (
        1,
        "Error: reports needs more: pip install '.[reports]'\n",
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["videos", "--songs", "10"], "--songs goes with playlists alone"),
        (["playlists", "--songs", "0"], "not in the range"),
        (["playlists", "--songs", "10", "--workers", "1,0"], "whole numbers from 1 to 64"),
        (["playlists", "--songs", "10", "--song-time", "soon"], "not a duration"),
    ],
)
def test_options_that_mean_nothing_are_refused(words: list[str], said: str) -> None:
    refused = CliRunner().invoke(command, words)
    assert refused.exit_code == 2
    assert said in refused.output


def test_another_word_is_refused_with_those_that_there_are() -> None:
    said = CliRunner().invoke(command, ["concerts"])
    assert said.exit_code == 2
    assert all(system in said.output for system in SYSTEMS)
