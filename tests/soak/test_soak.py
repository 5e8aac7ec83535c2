"""Two minutes of the soak, in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

SECONDS = 120


@pytest.mark.slow
@pytest.mark.needs_server
def test_nothing_acknowledged_is_lost_while_everything_is_killed() -> None:
    soak = [sys.executable, str(Path(__file__).with_name("soak.py")), "--seconds", str(SECONDS)]
    done = subprocess.run(
        soak, capture_output=True, text=True, timeout=SECONDS * 4, check=False, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stdout + done.stderr
    print(done.stdout)
