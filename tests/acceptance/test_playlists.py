"""Playlists, whole: from `POST /jobs` to the callback, with a worker that is killed, and a playlist that is canceled."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.acceptance.builders import API_KEY, CALLBACK_SECRET, System
from tests.acceptance.inbox import Inbox

LYRICS = "I walked the empty streets last night\nAnd every window told me you were gone\n" * 4
AUTHORIZED = {"Authorization": f"Bearer {API_KEY}"}
SONG_TIME = {"HOOKLINE_HANDLERS": "handlers", "PLAYLISTS_SONG_TIME": "100ms", "HOOKLINE_THREADS": "2"}


def playlist(count: int, **more: Any) -> dict[str, Any]:
    songs = [{"title": f"Song {number}", "artist": "A", "lyrics": LYRICS} for number in range(1, count)]
    return {"name": "Mix", "songs": [*songs, {"title": "Silence", "artist": "A"}]} | more


@pytest.mark.slow
def test_a_worker_is_killed_and_the_caller_hears_once_of_every_song(
    build: Callable[..., System], inbox: Inbox, wait_until: Callable[..., Any]
) -> None:
    house = build(**SONG_TIME)
    house.web()
    worker = house.worker()
    submitted = house.submit(
        {"type": "playlists.analyze", "payload": playlist(30), "callback_url": inbox.url("playlists")}
    ).json()

    def some_are_done() -> bool:
        progress = house.job(submitted["job_id"])["progress"]
        return bool(progress and progress["current"] >= 5)

    wait_until(some_are_done, timeout=30)
    worker.process.kill()
    worker.process.wait()
    house.worker()

    job = house.ended(submitted["job_id"], wait=60)
    result = job["result"]
    assert [song["title"] for song in result["songs"]] == [f"Song {number}" for number in range(1, 30)]
    assert [song["title"] for song in result["failed"]] == ["Silence"]
    assert result["profile"]["languages"] == {"en": 29}
    assert (job["progress"]["current"], job["progress"]["total"]) == (30, 30)
    post = inbox.once("playlists", lambda: house.has_told(submitted["job_id"]))
    assert post.verified(CALLBACK_SECRET)["data"]["status"] == "finished"


@pytest.mark.slow
def test_a_batch_has_one_progress_that_never_falls_and_stops_whole(
    build: Callable[..., System], inbox: Inbox, wait_until: Callable[..., Any]
) -> None:
    house = build(**SONG_TIME)
    house.web()
    house.worker()
    lists = [playlist(4, name="One"), playlist(6, name="Two")]
    told: list[tuple[float, float, str]] = []

    def stands(job_id: str) -> str:
        job = house.job(job_id)
        if job["progress"] is not None:
            told.append(tuple(job["progress"][name] for name in ("current", "total", "message")))
        return str(job["status"])

    job_id = submitted_batch(house, lists, callback_url=inbox.url("batch"))
    wait_until(lambda: stands(job_id) == "finished", timeout=60)
    assert stands(job_id) == "finished"
    counts = [current for current, _, _ in told]
    assert counts == sorted(counts)
    assert {total for _, total, _ in told} == {10}
    assert all(message == f"{current:g} of 10 songs" for current, _, message in told)
    assert told[-1][0] == 10
    result = inbox.once("batch", lambda: house.has_told(job_id)).verified(CALLBACK_SECRET)["data"]["result"]
    assert [(one["name"], one["status"]) for one in result["playlists"]] == [
        ("One", "finished"),
        ("Two", "finished"),
    ]

    stopped = submitted_batch(house, [playlist(40, name="One"), playlist(40, name="Two")])
    wait_until(lambda: (house.job(stopped)["progress"] or {}).get("current", 0) >= 3, timeout=30)
    house.http.post(f"/jobs/{stopped}/cancel", headers=AUTHORIZED).raise_for_status()

    def of(parent: str, type_: str) -> list[dict[str, Any]]:
        words = {"type": type_, "limit": 100}
        listed = house.http.get("/jobs", params=words, headers=AUTHORIZED).json()["items"]
        return [one for one in listed if one["parent"] == parent]

    parts = [one["id"] for one in of(stopped, "playlists.analyze")]
    wait_until(
        lambda: (
            {house.job(part)["status"] for part in parts} == {"failed"}
            and all(one["ended_at"] for part in parts for one in of(part, "playlists.song"))
        ),
        timeout=30,
    )
    statuses = Counter(one["status"] for part in parts for one in of(part, "playlists.song"))
    assert statuses["finished"] >= 3, "what was done is kept"
    assert statuses["failed"] > 40, "the others were not run"
    assert {house.job(part)["error"]["message"] for part in parts} == {"the batch was canceled"}


def submitted_batch(house: System, lists: list[dict[str, Any]], **more: Any) -> str:
    job_id: str = house.submit({"type": "playlists.batch", "payload": {"playlists": lists}, **more}).json()[
        "job_id"
    ]
    return job_id


@pytest.mark.slow
def test_what_a_canceled_playlist_has_done_is_kept(
    build: Callable[..., System], wait_until: Callable[..., Any]
) -> None:
    house = build(**SONG_TIME)
    house.web()
    house.worker()
    job_id = house.submit({"type": "playlists.analyze", "payload": playlist(40)}).json()["job_id"]
    wait_until(lambda: (house.job(job_id)["progress"] or {}).get("current", 0) >= 3, timeout=30)
    house.http.post(f"/jobs/{job_id}/cancel", headers=AUTHORIZED).raise_for_status()
    assert house.job(job_id)["status"] == "canceled"

    again = house.submit({"type": "playlists.analyze", "payload": playlist(40, again=job_id)}).json()[
        "job_id"
    ]
    done = house.ended(again, wait=60)
    assert len(done["result"]["songs"]) == 39
    made = house.http.get("/jobs", params={"type": "playlists.song", "limit": 100}, headers=AUTHORIZED).json()
    of_second = [one for one in made["items"] if one["parent"] == again]
    assert 0 < len(of_second) < 38
