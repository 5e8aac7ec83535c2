"""Playlists, whole: from `POST /jobs` to the callback, with a worker that is killed, and a playlist that is canceled."""

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
    return {"name": "Mix", "songs": [*songs, {"title": "Silence", "artist": "A"}], **more}


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
    (post,) = inbox.wait_for("playlists")
    assert post.verified(CALLBACK_SECRET)["data"]["status"] == "finished"


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
