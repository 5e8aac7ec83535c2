"""Files in a bucket that speaks S3: sent up, worked on, loaded by their links, removed by day, and a bucket that is away."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.embedded import EmbeddedServer
from infra.files.store import FileStore
from tests.acceptance.bucket import Bucket, bucket
from tests.acceptance.builders import API_KEY, System, assert_problem, serving, system

pytestmark = pytest.mark.slow

AUTHORIZED = {"Authorization": f"Bearer {API_KEY}"}


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    with bucket(tmp_path_factory.mktemp("bucket")) as running:
        yield running


@pytest.fixture(scope="module")
def house(
    tmp_path_factory: pytest.TempPathFactory, valkey: EmbeddedServer, stand_in: Bucket
) -> Iterator[System]:
    """A web and a worker that share nothing but Redis and the bucket."""
    with (
        serving() as server,
        system(tmp_path_factory.mktemp("house"), server.url, **stand_in.variables) as running,
    ):
        running.worker()
        running.web()
        yield running


def upload(house: System, content: Any) -> httpx.Response:
    return house.http.post("/files", content=content, headers=AUTHORIZED)


@pytest.mark.parametrize("type", ["reverse", "reverse-in-a-process"])
@pytest.mark.parametrize("size", [1, 1 << 20, 20 << 20], ids=["a byte", "a piece", "parts"])
def test_what_was_sent_is_worked_on_and_the_link_gives_what_came_of_it(
    house: System, stand_in: Bucket, type: str, size: int
) -> None:
    content = bytes(at % 251 for at in range(4096)) * (size // 4096) or b"x"
    sent = upload(house, content)
    assert (sent.status_code, sent.json()["sha256"]) == (201, sha256(content).hexdigest())

    job_id = house.submit({"type": type, "payload": sent.json()["id"]}).json()["job_id"]
    made = house.ended(job_id)["result"]
    loaded = house.http.get(made["url"])
    assert loaded.content == content[::-1]
    assert sha256(loaded.content).hexdigest() == made["sha256"]
    assert any(key.startswith("kept/") and job_id in key for key in stand_in.holds())
    assert_problem(house.http.get(made["url"].replace("token=", "token=x")), 404, "not_found")


def test_an_upload_that_is_too_large_or_breaks_leaves_nothing(house: System, stand_in: Bucket) -> None:
    def breaks() -> Iterator[bytes]:
        yield bytes(9 << 20)
        raise ConnectionError

    before = stand_in.holds()
    assert_problem(upload(house, (bytes(1 << 20) for _ in range(101))), 413, "body_too_large")
    with pytest.raises(ConnectionError):
        upload(house, breaks())
    assert stand_in.holds() == before


def test_what_is_past_its_time_goes_by_day(
    stand_in: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in stand_in.variables.items():
        monkeypatch.setenv(name, value)
    today = datetime.now(UTC).date()

    async def main() -> tuple[int, list[str]]:
        store = FileStore("s3://hookline-files/retired")
        (tmp_path / "file").write_bytes(b"content")
        for day in (today - timedelta(days=2), today):
            for number in range(3):
                await store.write(f"{day}/job_{number}/report.pdf", tmp_path / "file", limit=100)
        removed = await store.retire(today)
        return removed, await store.places("")

    removed, left = asyncio.run(main())
    assert removed == 3
    assert left == [f"{today}/job_{number}/report.pdf" for number in range(3)]


def test_a_bucket_that_is_away_is_told_to_both_sides(build: Callable[..., System], tmp_path: Path) -> None:
    (tmp_path / "bucket").mkdir()
    with bucket(tmp_path / "bucket") as running:
        house = build(**running.variables)
        house.web()
        house.worker()
        file_id = upload(house, b"ab").json()["id"]
    answer = upload(house, b"cd")
    assert_problem(answer, 503, "files_unavailable")
    job_id = house.submit({"type": "reverse", "payload": file_id}).json()["job_id"]
    job = house.ended(job_id, "failed", wait=60)
    assert job["error"]["type"] == "StoreUnavailable"
    assert "stand-in-secret" not in str(job)
