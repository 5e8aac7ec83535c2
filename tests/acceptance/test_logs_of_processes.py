"""What processes say: one JSON object a line, from everybody in them alike, and nothing that nobody may know."""

import json
import signal
from collections.abc import Callable
from typing import Any

import pytest

from tests.acceptance.builders import ACME_SECRET, API_KEY, CALLBACK_SECRET, System
from tests.acceptance.inbox import Inbox

pytestmark = pytest.mark.slow  # many processes, one after the other


def test_every_line_of_every_process_is_json_with_a_level_and_without_secrets(
    build: Callable[..., System], inbox: Inbox
) -> None:
    """Standard error too, which platforms show in red."""
    system = build(HOOKLINE_LOG="debug")
    system.web("--workers", "2")
    system.worker("--processes", "2")
    body = {
        "type": "failing",
        "of": "a-body-that-is-nobodys-business",
        "callback_url": inbox.answer("logs", 500, 500, 500),
    }

    told = system.send(body).json()
    system.ended(told["job_id"], "failed")
    token = told["status_url"].partition("token=")[2]
    assert system.http.get(f"/jobs/{told['job_id']}", params={"token": token[:-2]}).status_code == 401
    assert system.http.get(f"/jobs/job_else?token={token}").status_code == 404
    assert (
        system.http.post("/hooks/acme", content=b"{}", headers={"X-Acme-Signature": "0" * 64}).status_code
        == 401
    )
    assert system.http.post("/hooks/acme?key=in-the-address", content=b"{}").status_code == 401
    assert [process.stop(signal.SIGTERM) for process in system.started] == [0, 0]

    output = "".join(process.output() for process in system.started)
    lines: list[dict[str, Any]] = [json.loads(line) for line in output.splitlines()]
    assert {type(line["message"]) for line in lines} == {str}
    assert {line["level"] for line in lines} <= {"debug", "info", "warn", "error"}
    assert {"uvicorn.error", "worker.attempts", "ingest.answers"} <= {line["logger"] for line in lines}
    attempts = [line for line in lines if line.get("job") == told["job_id"] and "attempt" in line]
    assert {line["attempt"] for line in attempts} >= {1, 2, 3}
    assert {line["event"] for line in attempts if "event" in line} == {told["event_id"]}
    secrets = (ACME_SECRET, API_KEY, CALLBACK_SECRET, system.environ["HOOKLINE_SECRET_KEY"], token, token[:-2], "in-the-address", "nobodys-business")  # fmt: skip
    assert [secret for secret in secrets if secret in output] == []
