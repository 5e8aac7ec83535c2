"""Files over HTTP: sent up, worked on by handlers wherever these run, and loaded by whoever has the link."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from infra.embedded import EmbeddedServer
from tests.acceptance.builders import API_KEY, READ_KEY, System, assert_problem, serving, system

SENT = bytes(range(256)) * 1000


@pytest.fixture(scope="module")
def keeping(tmp_path_factory: pytest.TempPathFactory, valkey: EmbeddedServer) -> Iterator[System]:
    """A web and a worker that share a directory for files of up to 1 MiB."""
    directory = tmp_path_factory.mktemp("keeping")
    files = {"HOOKLINE_FILES": str(directory / "files"), "HOOKLINE_MAX_FILE": "1MiB"}
    with serving() as server, system(directory, server.url, **files) as running:
        running.worker()
        running.web()
        yield running


def upload(system: System, content: bytes, *, key: str = API_KEY) -> httpx.Response:
    return system.http.post("/files", content=content, headers={"Authorization": f"Bearer {key}"})


def reverse(system: System, type: str, reference: Any) -> dict[str, Any]:
    submitted = system.submit({"type": type, "payload": reference})
    return system.job(submitted.json()["job_id"], wait=30)


@pytest.mark.parametrize("type", ["reverse", "reverse-in-a-thread", "reverse-in-a-process"])
def test_an_upload_is_worked_on_and_what_came_of_it_is_loaded(keeping: System, type: str) -> None:
    sent = upload(keeping, SENT)
    assert sent.status_code == 201, sent.text
    assert (sent.json()["size"], sent.json()["sha256"]) == (len(SENT), sha256(SENT).hexdigest())

    job = reverse(keeping, type, sent.json()["id"])

    assert job["status"] == "finished", job
    made = job["result"]
    loaded = keeping.http.get(made["url"])
    assert loaded.status_code == 200
    assert loaded.content == SENT[::-1]
    assert sha256(loaded.content).hexdigest() == made["sha256"]
    assert loaded.headers["content-type"] == "application/x-reversed"
    assert loaded.headers["content-disposition"] == "attachment; filename*=UTF-8''r%C3%BCckw%C3%A4rts%201.bin"
    assert loaded.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in loaded.headers["content-security-policy"]
    headed = keeping.http.head(made["url"])
    assert (headed.status_code, headed.headers["content-length"]) == (200, str(len(SENT)))
    assert not Path(made["folder"]).exists()


def test_a_link_is_good_for_its_own_file_alone(keeping: System) -> None:
    job = reverse(keeping, "reverse", upload(keeping, b"ab").json()["id"])
    url = urlsplit(job["result"]["url"])
    for path, query in (
        (url.path, ""),
        (url.path, "token=x"),
        (url.path.replace("1.bin", "2.bin"), url.query),
        (url.path.replace(job["id"], "job_00000000000000000000000000"), url.query),
    ):
        assert_problem(keeping.http.get(f"{path}?{query}"), 404, "not_found")


def test_what_is_too_large_is_refused_and_not_kept(keeping: System) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(20):
            yield bytes(1 << 16)

    before = sorted(Path(keeping.environ["HOOKLINE_FILES"]).rglob("*"))
    announced = upload(keeping, bytes((1 << 20) + 1))
    streamed = keeping.http.post("/files", content=endless(), headers={"Authorization": f"Bearer {API_KEY}"})
    for answer in (announced, streamed):
        assert_problem(answer, 413, "body_too_large")
    assert sorted(Path(keeping.environ["HOOKLINE_FILES"]).rglob("*")) == before


def test_only_who_may_submit_sends_files(keeping: System) -> None:
    assert_problem(keeping.http.post("/files", content=b"x"), 401, "unauthorized")
    assert_problem(upload(keeping, b"x", key=READ_KEY), 403, "scope_missing")
    assert_problem(upload(keeping, b""), 422, "invalid")
    assert_problem(keeping.http.get("/files"), 405, "method_not_allowed")


@pytest.mark.parametrize("reference", ["file_00000000000000000000000000", "file_../../etc/passwd"])
def test_a_file_that_is_not_there_fails_the_job_with_words(keeping: System, reference: str) -> None:
    job = reverse(keeping, "reverse-in-a-process", reference)
    assert job["status"] == "failed"
    assert job["error"]["type"] == "FileMissing"


def test_an_address_that_may_not_be_called_is_not_loaded(keeping: System) -> None:
    job = reverse(keeping, "reverse-in-a-process", "https://169.254.169.254/latest")
    assert (job["status"], job["error"]["type"]) == ("failed", "URLRefused")


def test_where_no_files_are_kept_both_sides_say_so(house: System) -> None:
    assert_problem(upload(house, b"x"), 501, "files_closed")
    job = reverse(house, "reverse", "file_00000000000000000000000000")
    assert "HOOKLINE_FILES" in job["error"]["message"]
