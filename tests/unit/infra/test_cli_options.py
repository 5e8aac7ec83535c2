import pytest
from click.testing import CliRunner

from infra.cli import hookline
from infra.cli.options import DURATION


@pytest.mark.parametrize(("text", "seconds"), [("60s", 60), ("1.5m", 90), ("250ms", 0.25)])
def test_a_duration_is_written_as_in_settings(text: str, seconds: float) -> None:
    assert DURATION.convert(text, None, None).total_seconds() == seconds


@pytest.mark.parametrize("command", ["worker", "serve"])
def test_what_is_no_duration_is_refused_in_words_before_anything_starts(command: str) -> None:
    result = CliRunner().invoke(hookline, [command, "--max-idle", "soon"])
    assert result.exit_code == 2
    assert "not a duration: write a number and a unit" in result.output
