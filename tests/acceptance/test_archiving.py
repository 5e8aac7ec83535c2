"""The archive, by real workers: killed in the middle, over a bucket, while it is away."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.ledger import keys
from tests.acceptance.bucket import NAME as BUCKET
from tests.acceptance.bucket import bucket as a_bucket
from tests.acceptance.builders import API_KEY, System

pytestmark = pytest.mark.slow  # many processes, one after the other

SOON = {"HOOKLINE_RETENTION": "1s", "HOOKLINE_DEAD_RETENTION": "1s"}


def submit(system: System, number: int) -> set[str]:
    """The ids of so many new events."""
    answer = system.submit([{"type": "echo", "payload": {"number": place}} for place in range(number)])
    assert answer.status_code == 202, answer.text
    return {one["event_id"] for one in answer.json()}


def live(system: System, event_ids: set[str]) -> set[str]:
    """Those that are still in Redis."""
    with system.redis.pipeline(transaction=False) as pipeline:
        for event_id in sorted(event_ids):
            pipeline.exists(keys.EVENT + event_id)
        there = pipeline.execute()
    return {event_id for event_id, exists in zip(sorted(event_ids), there, strict=True) if exists}


def called(system: System, *words: str) -> str:
    """What a command says that ends well."""
    done = subprocess.run(
        ["hookline", *words], env={**system.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def archived(system: System) -> dict[str, Any]:
    """The archive's events, by their ids."""
    lines = [json.loads(line) for line in called(system, "archive", "read").splitlines()]
    assert len({line["id"] for line in lines}) == len(lines)
    return {line["id"]: line for line in lines}


def committed(directory: Path) -> set[str]:
    """The ids that the manifests in a directory name."""
    return {
        event_id
        for manifest in directory.glob("events/*/*.json")
        for event_id in json.loads(manifest.read_text())["events"]
    }


def let_others(system: System) -> None:
    """As if the two minutes were over for which a worker that died archives alone."""
    if system.redis.exists(keys.ARCHIVE):
        system.redis.hset(keys.ARCHIVE, "until", "1")


def test_a_worker_killed_while_it_archives_loses_nothing(
    build: Callable[..., System], tmp_path: Path, wait_until: Callable[..., Any]
) -> None:
    """Killed again and again, just as it has written something: what it acknowledged is in Redis, or in the archive."""
    directory = tmp_path / "archive"
    system = build(HOOKLINE_ARCHIVE=str(directory), **SOON)
    system.web()
    sent: set[str] = set()

    def written() -> set[Path]:
        return set(directory.rglob("events/*/*"))

    for turn in range(4):
        sent |= submit(system, 40)
        worker, before = system.worker(), written()
        let_others(system)
        wait_until(lambda before=before: written() > before, timeout=30)
        time.sleep(turn * 0.002)
        worker.stop(signal.SIGKILL)
        assert sent - live(system, sent) <= committed(directory), "neither archived nor live"

    system.worker()
    let_others(system)
    wait_until(lambda: not live(system, sent), timeout=60)
    found = archived(system)
    assert set(found) == sent
    for line in found.values():
        (job,) = line["jobs"]
        (round_,) = job["rounds"]
        assert (round_["status"], round_["attempts"][-1]["outcome"]) == ("finished", "finished")
    assert f"{len(sent)} events" in called(system, "archive", "verify")


def test_what_cant_be_archived_stays_and_goes_when_it_can(
    build: Callable[..., System], tmp_path: Path, wait_until: Callable[..., Any]
) -> None:
    directory = tmp_path / "archive"
    directory.mkdir()
    (directory / "events").write_text("in the way")
    system = build(HOOKLINE_ARCHIVE=str(directory), **SOON)
    system.web()
    system.worker()
    (event_id,) = submit(system, 1)

    def failing() -> bool:
        return b"failing" in system.redis.hgetall(keys.ARCHIVE)

    wait_until(failing, timeout=30)
    assert live(system, {event_id})
    metrics = system.http.get("/metrics", headers={"Authorization": f"Bearer {API_KEY}"}).text
    assert "hookline_archive_failing 1.0" in metrics

    (directory / "events").unlink()
    wait_until(lambda: not live(system, {event_id}), timeout=30)
    assert set(archived(system)) == {event_id}
    assert not failing()


# -- in a bucket -------------------------------------------------------------------------------------------------------


@pytest.fixture
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Variables for an archive in a bucket of a stand-in for S3."""
    with a_bucket(tmp_path_factory.mktemp("s3")) as made:
        yield {**made.variables, "HOOKLINE_ARCHIVE": f"s3://{BUCKET}/hookline"}


def test_a_bucket_is_an_archive_too(
    build: Callable[..., System], bucket: dict[str, str], wait_until: Callable[..., Any]
) -> None:
    system = build(**bucket, **SOON)
    system.web()
    worker = system.worker()
    sent = submit(system, 20)
    wait_until(lambda: not live(system, sent), timeout=60)

    assert set(archived(system)) == sent
    assert "20 events" in called(system, "archive", "verify")
    first, second, *_ = sorted(sent)
    worker.stop()  # or the new event would be archived in turn
    made, job_id, *_ = called(system, "archive", "replay", first).split()
    assert live(system, {made})
    assert called(system, "events", "erase", second) == f"{second}\n"
    assert set(archived(system)) == sent - {second}
    assert "19 events" in called(system, "archive", "verify")
    assert system.job(job_id)["event_id"] == made
