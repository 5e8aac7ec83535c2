"""The function that RQ's records name."""

import logging

import pytest
from rq import Retry

from worker.entry import run


def test_a_stock_worker_gives_the_job_back_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        given_back = run("job_1")
    assert isinstance(given_back, Retry)
    assert given_back.intervals == [15]
    assert "job_1" in caplog.text
    assert "hookline worker" in caplog.text
