"""Messages that are none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.commands import Told, told, told_by_rq


@pytest.mark.parametrize(
    "message", [b"", b"[]", b"null", b'"shutdown"', b"{}", b'{"command": "stop-job"}', b'{"command": ["shutdown"]}',
                b'{"command": "stop-job", "job_id": 7}', b'{"command": "dance"}', b"\xff", b"[" * 100_000]
)  # fmt: skip
def test_a_command_that_is_none_means_nothing(message: bytes) -> None:
    assert told_by_rq(message) == Told()


@given(st.binary())
def test_whatever_is_published_can_be_read(message: bytes) -> None:
    assert told(message).word in ("", "schedule", "outbox", "swept", "canceled")
    assert told_by_rq(message).word in ("", "cancel", "stop", "kill")


@pytest.mark.parametrize("command", ["stop-job", "stop-execution"])
def test_a_job_is_stopped_by_either_command(command: str) -> None:
    assert told_by_rq(f'{{"command": "{command}", "job_id": "job_1", "execution_id": "x"}}'.encode()) == Told(
        "cancel", "job_1"
    )
