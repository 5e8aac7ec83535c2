"""Playlists: what songs are about, and how a whole list feels. `analyze` makes a job of each song; `batch` one of each playlist.

``docs/systems/playlists.md`` shows the payloads. Needs the extra ``playlists`` (``pip install '.[playlists]'``).
"""

import asyncio
from collections.abc import Sequence
from itertools import islice
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from handlers import Context, Reject, handler
from handlers.playlists import mail, profile, song
from handlers.services import JobState
from infra.settings import Settings

MOST_SONGS: Final = 2_000
_AT_ONCE: Final = 50  # jobs that are made at the same time

Text = Annotated[str, Meta(min_length=1, max_length=500)]


class Song(Struct, omit_defaults=True):
    """One song of a playlist."""

    title: Text
    artist: str = ""
    lyrics: str = ""


class Playlist(Struct):
    """What is to be analysed.

    Args:
        songs: themselves, or where they are as JSON: the id of an upload, or an https URL.
        notify: an address that is written to when it took long.
        again: the id of an earlier job of this playlist; what that one has of these songs is not done again.
    """

    name: Text
    songs: Annotated[list[Song], Meta(min_length=1, max_length=MOST_SONGS)] | Text
    notify: str | None = None
    again: str | None = None


class OneSong(Struct):
    """A song, and the job whose playlist it belongs to."""

    song: Song
    playlist: str


class Batch(Struct):
    """Several playlists."""

    playlists: Annotated[list[Playlist], Meta(min_length=1, max_length=100)]


@handler("api", "playlists.analyze", timeout="10m")
async def analyze(context: Context, payload: Playlist) -> dict[str, Any]:
    """Each song by a job of its own; songs that fail are listed, and fail nothing else."""
    songs = await _songs(context, payload.songs)
    done = await _known(context, payload.again, songs)
    missing = [index for index in range(len(songs)) if index not in done]
    ids = await _jobs_of(context, [songs[index] for index in missing])
    states = await context.outcomes(ids, lambda seen: _tell(context, songs, missing, seen))
    done |= {
        index: state.result
        for index, state in zip(missing, states, strict=True)
        if state.status == "finished"
    }
    failed = [
        {"index": index, "title": songs[index].title, "error": _why(state)}
        for index, state in zip(missing, states, strict=True)
        if state.status != "finished"
    ]
    result = {
        "playlist": payload.name,
        "songs": [{"index": index, **done[index]} for index in sorted(done)],
        "failed": failed,
        "profile": profile.of([done[index] for index in sorted(done)]),
    }
    await _notify(context, payload, result)
    return result


@handler("api", "playlists.song", timeout="2m", max_attempts=3)
def one_song(context: Context, payload: OneSong) -> dict[str, Any]:
    """One song, unless its playlist was canceled meanwhile."""
    (playlist,) = context.jobs([payload.playlist])
    if playlist.status == "canceled":
        raise Reject("the playlist was canceled")
    if not payload.song.lyrics.strip():
        raise Reject(f"{payload.song.title!r} has no lyrics")
    song.think(Settings.load().playlists_song_time)
    return {
        "title": payload.song.title,
        "artist": payload.song.artist,
        **song.analysed(payload.song.lyrics),
    }


@handler("api", "playlists.batch", timeout="10m")
async def batch(context: Context, payload: Batch) -> dict[str, Any]:
    """Several playlists, with one progress for all of their songs."""
    ids = [await context.enqueue("playlists.analyze", msgspec.to_builtins(one)) for one in payload.playlists]
    names = [one.name for one in payload.playlists]
    states = await context.outcomes(ids, lambda seen: _tell_of_all(context, names, seen))
    return {
        "playlists": [
            {
                "name": name,
                "job_id": state.id,
                "status": state.status,
                "result": state.result,
                "error": _why(state),
            }
            for name, state in zip(names, states, strict=True)
        ]
    }


async def _songs(context: Context, given: list[Song] | str) -> list[Song]:
    if not isinstance(given, str):
        return given
    content = (await context.download(given)).read_bytes()
    try:
        songs = msgspec.json.decode(content, type=list[Song])
    except msgspec.MsgspecError as error:
        raise Reject(f"the file of songs: {error}") from None
    if not 0 < len(songs) <= MOST_SONGS:
        raise Reject(f"a playlist has 1 to {MOST_SONGS} songs, not {len(songs)}")
    return songs


async def _known(context: Context, earlier: str | None, songs: Sequence[Song]) -> dict[int, Any]:
    """What an earlier job has found out about these songs, by their places in the list; the same in every attempt."""
    if earlier is None:
        return {}
    (before,) = await context.jobs([earlier])
    if before.type != "playlists.analyze":
        raise Reject(f"there is no earlier analysis {earlier!r}")
    if before.open:
        raise Reject(f"the earlier analysis {earlier} still runs")
    made = await context.jobs(await context.children(earlier))
    known = [
        *(before.result or {}).get("songs", ()),
        *(one.result for one in made if one.status == "finished"),
    ]
    by_name = {(one["title"], one["artist"]): {k: v for k, v in one.items() if k != "index"} for one in known}
    found = {
        index: by_name[one.title, one.artist]
        for index, one in enumerate(songs)
        if (one.title, one.artist) in by_name
    }
    kept = await context.step("known", lambda: sorted(found))
    return {index: found[index] for index in kept}


async def _jobs_of(context: Context, songs: Sequence[Song]) -> list[str]:
    """A job for each, in order; the calls begin in order, so that every attempt makes the same ones."""
    ids: list[str] = []
    remaining = iter(songs)
    while some := list(islice(remaining, _AT_ONCE)):
        ids += await asyncio.gather(
            *(
                context.enqueue(
                    "playlists.song",
                    {"song": msgspec.to_builtins(one), "playlist": context.job_id},
                    queue="low",
                )
                for one in some
            )
        )
    return ids


def _tell(
    context: Context, songs: Sequence[Song], missing: Sequence[int], states: Sequence[JobState]
) -> None:
    """How many songs are done, and which one is being worked on."""
    known = len(songs) - len(missing)
    done = known + sum(not state.open for state in states)
    at_work = [
        songs[index].title for index, state in zip(missing, states, strict=True) if state.status == "started"
    ]
    context.progress(
        done,
        len(songs),
        f"song {min(done + 1, len(songs))} of {len(songs)}",
        stage="songs",
        item=next(iter(at_work), None),
    )


def _tell_of_all(context: Context, names: Sequence[str], states: Sequence[JobState]) -> None:
    """The songs of all playlists together, as far as they have told how many they are."""
    told = [state.progress for state in states]
    done, total = sum(one.current for one in told if one), sum(one.total or 0 for one in told if one)
    at_work = [
        name for name, state in zip(names, states, strict=True) if state.status in ("started", "scheduled")
    ]
    context.progress(
        done, total or None, f"{done:g} of {total:g} songs", stage="playlists", item=next(iter(at_work), None)
    )


async def _notify(context: Context, payload: Playlist, result: dict[str, Any]) -> None:
    settings = Settings.load()
    took = context.now() - context.event.received_at
    if payload.notify is None or took < settings.mail_after:
        return
    if settings.smtp_url is None:
        context.log.warning("nobody was written to: HOOKLINE_SMTP_URL is not set")
        return
    message = mail.message(payload.notify, result, took=took, sender=settings.mail_from)
    await context.step("mail", mail.send, settings.smtp_url, message)


def _why(state: JobState) -> str | None:
    if state.error is not None:
        return state.error.message
    return None if state.status == "finished" else state.status
