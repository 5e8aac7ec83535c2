"""The API's description against real processes: its examples are typed into a shell, and Schemathesis attacks what it promises."""

import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ingest.openapi import document
from tests.acceptance.builders import ACME_SECRET, API_KEY, System, serving, system
from tests.acceptance.inbox import Inbox

pytestmark = pytest.mark.slow  # many processes, one after the other

CALLS = [told for methods in document()["paths"].values() for told in methods.values()]
VERIFY_TOKEN = "a-token-for-meta"
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "ignored_auth",
)
ENDED = {"cancelReplay": ["409"]}  # the one that is there has ended


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory, inbox: Inbox) -> Iterator[dict[str, str]]:
    """The variables of the examples, over a system that has one of everything."""
    directory = tmp_path_factory.mktemp("described")
    with serving() as server, system(directory, server.url, **settings(directory)) as house:
        house.worker()
        house.worker()  # the one that an example ends
        house.web()
        yield one_of_everything(house, inbox)


def settings(directory: Path) -> dict[str, str]:
    return {
        "HOOKLINE_FILES": str(directory / "files"),
        "SOURCE_META_SECRET": "meta-secret",
        "SOURCE_META_VERIFY_TOKEN": VERIFY_TOKEN,
    }


def one_of_everything(house: System, inbox: Inbox) -> dict[str, str]:
    def submit(content: Any) -> dict[str, Any]:
        told: dict[str, Any] = house.submit(content).raise_for_status().json()
        return told

    key = {"Authorization": f"Bearer {API_KEY}"}
    done = submit({"type": "echo", "callback_url": inbox.url(uuid.uuid4().hex)})
    batch = house.submit([{"type": "echo"}]).json()[0]["batch_id"]
    failed, waits = submit({"type": "rejecting"}), submit({"type": "gated", "payload": {"gate": "never"}})
    file = house.http.post("/files", content=b"abc", headers=key).json()["id"]
    made = house.ended(submit({"type": "reverse", "payload": file})["job_id"])
    house.ended(failed["job_id"], "failed")
    callback = house.ended(done["job_id"])["callback"]["id"]
    with house.http.stream("GET", f"/jobs/{done['job_id']}/stream", headers=key) as told:
        told.read()  # it ends once the callback is delivered
    replay = house.http.post("/replays", json={"status": "canceled"}, headers=key).json()["id"]
    receiver = house.http.get("/receivers", headers=key).json()["items"][0]["id"]
    address = f"http://127.0.0.1:{house.environ['PORT']}"
    return {
        "HOOKLINE": address,
        "KEY": API_KEY,
        "ACME_SECRET": ACME_SECRET,
        "META_VERIFY_TOKEN": VERIFY_TOKEN,
        "JOB": done["job_id"],
        "EVENT": done["event_id"],
        "FAILED_JOB": failed["job_id"],
        "OPEN_JOB": waits["job_id"],
        "BATCH": batch,
        "REPLAY": replay,
        "CALLBACK": callback,
        "RECEIVER": receiver,
        "HANDLER": "scenario:echo",
        "WORKER": house.http.get("/queues", headers=key).json()["workers"][0]["name"],
        "ARTIFACT_URL": address + made["result"]["url"],
    }


@pytest.mark.parametrize("told", CALLS, ids=[told["operationId"] for told in CALLS])
def test_the_example_of_a_call_works(told: dict[str, Any], shown: dict[str, str]) -> None:
    command = told["x-codeSamples"][0]["source"].replace(
        "curl ", "curl -sS -o /dev/null -w '%{http_code}' ", 1
    )
    ran = subprocess.run(
        ["bash", "-c", command],
        env={"PATH": "/usr/bin:/bin"} | shown,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    good = [status for status in told["responses"] if status < "300"]
    assert ran.stdout in ENDED.get(told["operationId"], good), ran.stderr


@pytest.mark.timeout(900)
@pytest.mark.parametrize("mode", ["positive", "negative"])
def test_schemathesis_finds_nothing_that_is_not_described(
    build: Callable[..., System], tmp_path: Path, mode: str
) -> None:
    """Whatever is sent: no 5xx, no status, type or member that is not described, and nothing without its key."""
    house = build(**settings(tmp_path))
    house.worker()
    house.web()
    attack = subprocess.run(
        [
            Path(sys.executable).with_name("st"), "run", f"http://127.0.0.1:{house.environ['PORT']}/openapi.json",
            "--mode", mode, "--max-examples", "30", "--seed", "7", "--request-timeout", "70", "--workers", "2",
            "--exclude-path-regex", "/(stream|ws|drain)$",  # the first two do not end; the third ends the worker
            "--checks", ",".join(CHECKS), "--continue-on-failure", "--suppress-health-check", "all", "--warnings", "off",
            "--header", f"Authorization: Bearer {API_KEY}",
        ],
        cwd=tmp_path, capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert attack.returncode == 0, attack.stdout[-20_000:] + attack.stderr[-2_000:]
