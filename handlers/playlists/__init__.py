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
from handlers.extras import require
from handlers.playlists import profile, progress, song
from handlers.playlists.mail import Address
from handlers.services import JobState
from infra.egress import Blocked
from infra.files import FileMissing, FileTooLarge
from infra.ledger.records import Progress
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
        batch: the id of the job of several playlists that this one is one of.
    """

    name: Text
    songs: Annotated[list[Song], Meta(min_length=1, max_length=MOST_SONGS)] | Text
    notify: Address | None = None
    again: str | None = None
    batch: str | None = None


class OneSong(Struct):
    """A song, the job whose playlist it belongs to, and the batch that this one is one of."""

    song: Song
    playlist: str
    batch: str | None = None


class Batch(Struct):
    """Several playlists."""

    playlists: Annotated[list[Playlist], Meta(min_length=1, max_length=100)]


@handler("api", "playlists.analyze", timeout="10m")
async def analyze(context: Context, payload: Playlist) -> dict[str, Any]:
    """Each song by a job of its own; songs that fail are listed, and fail nothing else."""
    require("playlists")
    if payload.batch is not None:
        _refuse_canceled(await context.jobs([payload.batch]))
    songs = await _songs(context, payload.songs)
    done = await _known(context, payload.again, songs)
    missing = [index for index in range(len(songs)) if index not in done]
    titles = [songs[index].title for index in missing]
    ids = await _jobs_of(context, [songs[index] for index in missing], payload.batch)
    states = await context.outcomes(
        ids, lambda seen: _tell(context, progress.of_songs(titles, seen, known=len(done)))
    )
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
    """One song, unless its playlist was canceled meanwhile, or the batch that this one is one of."""
    require("playlists")
    whose = [payload.playlist] if payload.batch is None else [payload.playlist, payload.batch]
    _refuse_canceled(context.jobs(whose))
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
    ids = [
        await context.enqueue("playlists.analyze", msgspec.to_builtins(one) | {"batch": context.job_id})
        for one in payload.playlists
    ]
    names = [one.name for one in payload.playlists]
    counts = [None if isinstance(one.songs, str) else len(one.songs) for one in payload.playlists]
    states = await context.outcomes(
        ids, lambda seen: _tell(context, progress.of_playlists(names, counts, seen))
    )
    return {
        "playlists": [
            {
                "name": name,
                "job_id": state.id,
                "status": state.status,
                "error": _why(state),
                **_gist(state.result),
            }
            for name, state in zip(names, states, strict=True)
        ]
    }


async def _songs(context: Context, given: list[Song] | str) -> list[Song]:
    if not isinstance(given, str):
        return given
    try:
        content = (await context.download(given)).read_bytes()
        songs = msgspec.json.decode(content, type=list[Song])
    except (FileMissing, FileTooLarge, Blocked, msgspec.MsgspecError) as error:
        raise Reject(f"songs ({given}): {error}") from error
    if not 0 < len(songs) <= MOST_SONGS:
        raise Reject(f"songs ({given}): a playlist has 1 to {MOST_SONGS}, not {len(songs)}")
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


async def _jobs_of(context: Context, songs: Sequence[Song], batch: str | None) -> list[str]:
    """A job for each, in order; the calls begin in order, so that every attempt makes the same ones."""
    whose = {"playlist": context.job_id, "batch": batch}
    ids: list[str] = []
    remaining = iter(songs)
    while some := list(islice(remaining, _AT_ONCE)):
        ids += await asyncio.gather(
            *(
                context.enqueue("playlists.song", {"song": msgspec.to_builtins(one), **whose}, queue="low")
                for one in some
            )
        )
    return ids


def _gist(result: dict[str, Any] | None) -> dict[str, Any]:
    """What a batch says of a playlist; its songs stand in that one's own result."""
    return {name: None if result is None else result[name] for name in ("profile", "failed")}


def _refuse_canceled(jobs: Sequence[JobState]) -> None:
    """End the attempt where one of these was canceled.

    Raises:
        Reject: which it was.
    """
    for job in jobs:
        if job.status == "canceled":
            kind = "batch" if job.type == "playlists.batch" else "playlist"
            raise Reject(f"the {kind} was canceled")


def _tell(context: Context, told: Progress) -> None:
    context.progress(told.current, told.total, told.message, stage=told.stage, item=told.item)


async def _notify(context: Context, payload: Playlist, result: dict[str, Any]) -> None:
    settings = Settings.load()
    took = context.now() - context.event.received_at
    if payload.notify is None or took < settings.mail_after:
        return
    if settings.smtp_url is None:
        context.log.warning("nobody was written to: HOOKLINE_SMTP_URL is not set")
        return
    letter = {
        "to": payload.notify,
        "playlist": payload.name,
        "songs": len(result["songs"]),
        "failed": result["failed"],
        "seconds": took.total_seconds(),
    }
    await context.enqueue("playlists.letter", letter, idempotency_key="letter")


def _why(state: JobState) -> str | None:
    if state.error is not None:
        return state.error.message
    return None if state.status == "finished" else state.status
