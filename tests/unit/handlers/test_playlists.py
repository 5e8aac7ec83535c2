"""Playlists: songs in jobs of their own, failures listed, what is known not done again, a letter when it took long."""

import asyncio
import socket
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from aiosmtpd.smtp import SMTP
from hypothesis import given
from hypothesis import strategies as st

from handlers import playlists
from handlers.playlists import mail, profile, progress, song
from handlers.services import JobState
from handlers.testing import START, Attempt, run
from infra.clock import ManualClock
from infra.ledger.records import Failed, Progress, Retried, Waiting

HAPPY = "I love this wonderful sunny day\nWe dance and laugh and everything is great\n" * 3
SAD = "I hate this terrible cruel night\nThe killing pain, the awful tears, you died\n" * 3


def songs(count: int) -> list[dict[str, str]]:
    return [{"title": f"Song {number}", "artist": "A", "lyrics": HAPPY} for number in range(1, count + 1)]


def analysed(title: str, score: float = 0.5) -> dict[str, Any]:
    return {
        "title": title, "artist": "A", "words": 10, "language": "en", "sentiment": {"score": score},
        "themes": ["sun"], "reading_level": 2.0, "explicit": [],
    }  # fmt: skip


def test_every_song_is_a_job_and_the_result_has_them_in_order() -> None:
    first = run(playlists.analyze, {"name": "Mix", "songs": songs(3)})
    assert [job.payload["song"]["title"] for job in first.enqueued] == ["Song 1", "Song 2", "Song 3"]
    assert {job.queue for job in first.enqueued} == {"low"}

    done = first.with_results(*(analysed(f"Song {number}") for number in (1, 2, 3)))
    assert [(one["index"], one["title"]) for one in done.result["songs"]] == [
        (0, "Song 1"),
        (1, "Song 2"),
        (2, "Song 3"),
    ]
    assert done.result["profile"]["songs"] == 3
    assert done.result["failed"] == []


def test_progress_names_the_number_of_the_song() -> None:
    first = run(playlists.analyze, {"name": "Mix", "songs": songs(250)})
    second = first.with_results(*(analysed(f"Song {number}") for number in range(1, 15)))
    assert isinstance(second.outcome, Waiting)
    newest = second.progress[-1]
    assert (newest.current, newest.total, newest.message, newest.stage) == (
        14,
        250,
        "song 15 of 250",
        "songs",
    )


def test_a_song_that_fails_is_listed_and_fails_nothing_else() -> None:
    done = run(playlists.analyze, {"name": "Mix", "songs": songs(2)}).with_results(
        analysed("Song 1"), ValueError("no lyrics")
    )
    assert [one["title"] for one in done.result["songs"]] == ["Song 1"]
    assert done.result["failed"] == [{"index": 1, "title": "Song 2", "error": "no lyrics"}]


def test_analysing_again_does_only_what_is_missing() -> None:
    earlier = "job_before"
    states = [
        JobState(id="job_1", status="finished", result=analysed("Song 1")),
        JobState(id="job_2", status="failed"),
    ]
    rehearsed = {earlier: states}
    before = JobState(id=earlier, status="canceled", type="playlists.analyze")
    payload = {"name": "Mix", "songs": songs(3), "again": earlier}
    first = run(playlists.analyze, payload, earlier={**rehearsed, "-": [before]})
    assert [job.payload["song"]["title"] for job in first.enqueued] == ["Song 2", "Song 3"]
    done = first.with_results(analysed("Song 2"), analysed("Song 3"))
    assert [one["title"] for one in done.result["songs"]] == ["Song 1", "Song 2", "Song 3"]


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (JobState(id="job_x", status="finished", type="other"), "no earlier analysis"),
        (JobState(id="job_x", status="started", type="playlists.analyze"), "still runs"),
    ],
)
def test_what_is_no_earlier_analysis_is_refused(state: JobState, words: str) -> None:
    outcome = run(
        playlists.analyze, {"name": "M", "songs": songs(1), "again": "job_x"}, earlier={"-": [state]}
    ).outcome
    assert isinstance(outcome, Failed)
    assert words in outcome.error.message


def test_songs_may_come_as_a_file() -> None:
    content = b'[{"title": "From a file", "lyrics": "la"}]'
    first = run(playlists.analyze, {"name": "M", "songs": "file_1"}, files={"file_1": content})
    assert first.enqueued[0].payload["song"]["title"] == "From a file"
    broken = run(
        playlists.analyze, {"name": "M", "songs": "file_1"}, files={"file_1": b'[{"artist": "A"}]'}
    ).outcome
    assert isinstance(broken, Failed)
    assert "`$[0]`" in broken.error.message


def test_a_canceled_playlist_has_its_songs_done_no_more() -> None:
    parent = JobState(id="job_p", status="canceled", type="playlists.analyze")
    outcome = run(
        playlists.one_song, {"song": songs(1)[0], "playlist": "job_p"}, earlier={"-": [parent]}
    ).outcome
    assert isinstance(outcome, Failed)
    assert outcome.error.message == "the playlist was canceled"


def test_a_canceled_batch_has_its_songs_done_no_more_and_its_playlists_begin_no_more() -> None:
    playlist = JobState(id="job_p", status="scheduled", type="playlists.analyze")
    whole = JobState(id="job_b", status="canceled", type="playlists.batch")
    for handler, payload in (
        (playlists.one_song, {"song": songs(1)[0], "playlist": "job_p", "batch": "job_b"}),
        (playlists.analyze, {"name": "One", "songs": songs(3), "batch": "job_b"}),
    ):
        stopped = run(handler, payload, earlier={"-": [playlist, whole]})
        assert isinstance(stopped.outcome, Failed)
        assert stopped.outcome.error.message == "the batch was canceled"
        assert not stopped.enqueued


def test_what_a_canceled_batch_has_done_is_kept_for_another_try() -> None:
    done = JobState(id="job_1", status="finished", result=analysed("Song 1"))
    stopped = JobState(id="job_2", status="failed")
    before = JobState(id="job_before", status="failed", type="playlists.analyze")
    again = run(
        playlists.batch, {"playlists": [{"name": "One", "songs": songs(2), "again": "job_before"}]}
    ).enqueued[0]
    second = run(playlists.analyze, again.payload, earlier={"job_before": [done, stopped], "-": [before]})
    assert [job.payload["song"]["title"] for job in second.enqueued] == ["Song 2"]


def test_a_song_without_lyrics_is_rejected_by_name() -> None:
    outcome = run(playlists.one_song, {"song": {"title": "Silence"}, "playlist": "job_p"}).outcome
    assert isinstance(outcome, Failed)
    assert outcome.error.message == "'Silence' has no lyrics"


def test_a_batch_has_one_progress_for_all_songs() -> None:
    lists = [{"name": "One", "songs": songs(2)}, {"name": "Two", "songs": songs(3)}]
    first = run(playlists.batch, {"playlists": lists})
    assert [job.type for job in first.enqueued] == ["playlists.analyze"] * 2
    assert first.progress == [
        Progress(current=0, total=5, message="0 of 5 songs", stage="playlists", item=None)
    ]
    second = first.with_results({"songs": [], "failed": [], "profile": {"songs": 2}})
    assert [(one.current, one.total, one.message) for one in second.progress] == [(2, 5, "2 of 5 songs")]
    done = second.with_results(ValueError("no"))
    assert [(one.current, one.total, one.message) for one in done.progress] == [(5, 5, "5 of 5 songs")]
    assert [(one["name"], one["status"], one["error"]) for one in done.result["playlists"]] == [
        ("One", "finished", None),
        ("Two", "failed", "no"),
    ]
    assert [one["profile"] for one in done.result["playlists"]] == [{"songs": 2}, None]
    assert not any("songs" in one for one in done.result["playlists"]), "each has its own in its own result"


def test_the_songs_of_a_batch_say_which_batch_it_is() -> None:
    whole = run(playlists.batch, {"playlists": [{"name": "One", "songs": songs(2)}]}).enqueued[0]
    made = run(playlists.analyze, whole.payload).enqueued
    assert {job.payload["batch"] for job in made} == {whole.payload["batch"]}
    assert whole.payload["batch"].startswith("job_")


def standing(status: str, current: int | None = None, total: int | None = None) -> JobState:
    told = None if current is None else Progress(current=current, total=total)
    return JobState(id="job_1", status=status, progress=told)


def test_progress_names_the_song_that_is_worked_on() -> None:
    states = [standing("finished"), standing("started"), standing("queued")]
    told = progress.of_songs(["B", "C", "D"], states, known=1)
    assert told == Progress(current=2, total=4, message="song 3 of 4", stage="songs", item="C")


@pytest.mark.parametrize(
    ("counts", "states", "current", "total", "message", "item"),
    [
        ([2, 8], [standing("queued"), standing("queued")], 0, 10, "0 of 10 songs", None),
        ([2, 8], [standing("scheduled", 1, 2), standing("queued")], 1, 10, "1 of 10 songs", "One"),
        ([2, 8], [standing("failed", 1, 2), standing("scheduled", 3, 8)], 5, 10, "5 of 10 songs", "Two"),
        ([2, None], [standing("scheduled", 1, 2), standing("started")], 1, None, "1 song", "One"),
        ([2, None], [standing("finished", 2, 2), standing("scheduled", 3, 7)], 5, 9, "5 of 9 songs", "Two"),
        ([2, None], [standing("finished", 2, 2), standing("failed")], 2, 2, "2 of 2 songs", None),
        ([2, None], [standing("missing"), standing("canceled", 3, 7)], 9, 9, "9 of 9 songs", None),
    ],
)
def test_the_progress_of_a_batch_counts_songs_that_have_not_begun(
    counts: list[int | None],
    states: list[JobState],
    current: int,
    total: int | None,
    message: str,
    item: str | None,
) -> None:
    told = progress.of_playlists(["One", "Two"], counts, states)
    assert told == Progress(current=current, total=total, message=message, stage="playlists", item=item)


@given(st.data())
def test_the_percent_of_a_batch_never_falls(data: st.DataObject) -> None:
    sizes = data.draw(st.lists(st.integers(1, 9), min_size=1, max_size=4))
    counts = [data.draw(st.sampled_from([size, None])) for size in sizes]
    ends = [data.draw(st.sampled_from(["scheduled", "finished", "failed"])) for _ in sizes]
    told = [
        [standing("queued"), standing("started"), *(standing("scheduled", n, size) for n in range(size + 1))]
        + ([] if end == "scheduled" else [standing(end, size, size)])
        for size, end in zip(sizes, ends, strict=True)
    ]
    at, percents = [0] * len(sizes), []
    while True:
        seen = progress.of_playlists(
            "ABCD"[: len(sizes)], counts, [one[n] for one, n in zip(told, at, strict=True)]
        )
        if seen.total is not None:
            percents.append(seen.current / seen.total)
        movable = [place for place, one in enumerate(told) if at[place] + 1 < len(one)]
        if not movable:
            break
        at[data.draw(st.sampled_from(movable))] += 1
    assert percents == sorted(percents)
    assert max(percents) <= 1


def test_songs_are_told_apart() -> None:
    happy, sad = song.analysed(HAPPY), song.analysed(SAD)
    assert happy["sentiment"]["score"] > 0.4 > -0.4 > sad["sentiment"]["score"]
    assert happy["language"] == "en"
    assert 0 <= happy["reading_level"] < 8
    assert happy["themes"]
    assert happy["words"] == 42
    german = song.analysed(
        "Über den Wolken muss die Freiheit wohl grenzenlos sein\nAlle Ängste, alle Sorgen\n" * 3
    )
    assert german["language"] == "de"


def test_a_phrase_does_not_go_on_in_the_next_line() -> None:
    found = song.analysed("Heavy rain\nGolden windows\n" * 4)
    assert found["key_phrases"][:2] == ["heavy rain", "golden windows"]
    assert not {"rain golden", "windows heavy"} & set(found["key_phrases"])
    assert set(found["themes"]) == {"heavy", "rain", "golden", "windows"}


def test_explicit_words_are_whole_words() -> None:
    assert song.analysed("What the fuck\nthe class passed the cocktail")["explicit"] == ["fuck"]


def test_the_profile_finds_the_song_that_is_unlike_the_others() -> None:
    found = profile.of(
        [analysed(f"Song {number}", 0.5 + number / 100) for number in range(9)] + [analysed("Odd", -0.9)]
    )
    assert [one["title"] for one in found["outliers"]] == ["Odd"]
    assert found["outliers"][0]["distance"] < -2
    assert profile.of([]) == {"songs": 0}
    assert profile.outliers([analysed("a", 1), analysed("b", -1)]) == []


def letter(**more: Any) -> dict[str, Any]:
    told = {"to": "ada@example.com", "playlist": "Mix", "songs": 2, "failed": [], "seconds": 180.0}
    return told | more


def test_the_letter_says_what_was_done_and_what_was_not() -> None:
    told = msgspec.convert(
        letter(failed=[{"index": 2, "title": "Song 3", "error": "no lyrics"}]), mail.Letter
    )
    made = mail.message(told, sender="h@example.com")
    assert made["Subject"] == "Mix: 2 songs analysed"
    assert "Song 3: no lyrics" in made.get_content()
    assert "3 min" in made.get_content()


@pytest.mark.parametrize("address", ["a@b\nBcc: all@example.com", "\r\n", "a@b\n", "ada"])
def test_an_address_that_is_none_is_refused_before_the_songs(address: str) -> None:
    refused = run(playlists.analyze, {"name": "Mix", "songs": songs(1), "notify": address})
    assert isinstance(refused.outcome, Failed)
    assert "`$.notify`" in refused.outcome.error.message
    assert not refused.enqueued


def test_a_name_adds_no_header() -> None:
    told = msgspec.convert(letter(playlist="Mix\nBcc: all@example.com"), mail.Letter)
    assert (
        mail.message(told, sender="h@example.com")["Subject"] == "Mix Bcc: all@example.com: 2 songs analysed"
    )


def test_the_letter_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    class Inbox:
        letters: list[Any] = []  # noqa: RUF012

        async def handle_DATA(self, _: Any, __: Any, envelope: Any) -> str:  # noqa: N802
            self.letters.append(envelope)
            return "250 kept"

    async def deliver(inbox: Inbox) -> Attempt:
        server = await asyncio.get_running_loop().create_server(lambda: SMTP(inbox), "127.0.0.1", 0)
        async with server:
            monkeypatch.setenv("HOOKLINE_SMTP_URL", f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}")
            return await asyncio.to_thread(run, mail.letter, letter())

    inbox = Inbox()
    assert asyncio.run(deliver(inbox)).result == {"to": "ada@example.com"}
    assert inbox.letters[0].rcpt_tos == ["ada@example.com"]
    assert b"2 songs analysed" in inbox.letters[0].content


def test_a_letter_that_nobody_takes_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HOOKLINE_SMTP_URL", f"smtp://127.0.0.1:{nobody.getsockname()[1]}")
        assert isinstance(run(mail.letter, letter()).outcome, Retried)


def test_only_what_took_long_is_written_about(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOKLINE_SMTP_URL", "smtp://mail")
    payload = {"name": "Mix", "songs": songs(1), "notify": "ada@example.com"}
    quick = run(playlists.analyze, payload).with_results(analysed("Song 1"))
    assert (quick.result["playlist"], quick.enqueued) == ("Mix", [])
    clock = ManualClock(START)
    waits = run(playlists.analyze, payload, clock=clock)
    clock.advance(timedelta(minutes=2))
    slow = waits.with_results(analysed("Song 1"))
    assert slow.result["playlist"] == "Mix"
    (made,) = slow.enqueued
    assert (made.type, made.payload) == ("playlists.letter", letter(songs=1, seconds=120.0))


@pytest.mark.parametrize("where", ["file_1", "http://a.example/songs.json"])
def test_songs_that_are_not_where_they_should_be_are_named(where: str) -> None:
    refused = run(playlists.analyze, {"name": "Mix", "songs": where})
    assert isinstance(refused.outcome, Failed)
    assert refused.outcome.error.message.startswith(f"songs ({where}): ")
