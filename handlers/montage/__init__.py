"""Montages: clips cut to the beat of a piece of music; and recordings without the words that were struck out.

``docs/systems/montage.md`` shows the payloads. Needs the extra ``montage`` (``pip install '.[montage]'``).
"""

from collections.abc import Iterator
from fractions import Fraction
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from handlers import Context, Reject, handler
from handlers.extras import require
from handlers.media.inputs import Reference
from handlers.media.picture import LARGEST, Resolution, size_of
from handlers.montage import beats, frames, render, speech
from handlers.montage.material import Material, heard
from handlers.montage.plan import RATE, Plan, Style, cut_points, shots
from handlers.montage.words import Word, kept, moved

MOST_SECONDS: Final = 600
_PREVIEW: Final = 320  # the longer side


class Wanted(Struct):
    """What a montage is made of.

    Args:
        clips: ids of uploads, or https URLs; shown in turn.
        music: likewise.
        seconds: the most; None: as long as the music.
        resolution: of the final video.
    """

    clips: Annotated[list[Reference], Meta(min_length=1, max_length=50)]
    music: Reference
    style: Style = "lively"
    seconds: Annotated[float, Meta(ge=2, le=MOST_SECONDS)] | None = None
    resolution: Resolution = "1280x720"


class Chosen(Struct):
    """The preview that was liked: the id of its job."""

    job: str


class Edited(Struct):
    """A recording, what is said in it, and what is struck out.

    Args:
        words: in the order in which they are said.
        remove: places in `words`, from 0.
    """

    video: Reference
    words: Annotated[list[Word], Meta(min_length=1, max_length=20_000)]
    remove: Annotated[list[int], Meta(min_length=1, max_length=20_000)]


@handler("api", "montage.run", isolation="process", timeout="30m", max_attempts=3)
def run(context: Context, payload: Wanted) -> dict[str, Any]:
    """A small preview, and the plan that `finalize` takes up."""
    require("montage")
    try:
        size_of(payload.resolution)
    except ValueError as error:
        raise Reject(str(error)) from None
    material = Material(context)
    found = context.step("plan", _planned, context, payload, material)
    plan = msgspec.convert(found["plan"], Plan)
    return {"preview": _rendered(context, plan, material, preview=True), **_told(plan), **found}


@handler("api", "montage.finalize", isolation="process", timeout="30m", max_attempts=3)
def finalize(context: Context, payload: Chosen) -> dict[str, Any]:
    """The same cuts in full size."""
    require("montage")
    (before,) = context.jobs([payload.job])
    if before.type != "montage.run":
        raise Reject(f"there is no montage {payload.job!r}")
    if before.status != "finished":
        raise Reject(f"the montage {payload.job} is {before.status}: there is no preview to finalize")
    plan = msgspec.convert(before.result["plan"], Plan)
    made = _rendered(context, plan, Material(context), preview=False)
    return {"video": made, **_told(plan), "preview_of": payload.job}


@handler("api", "montage.transcript_render", isolation="process", timeout="30m", max_attempts=3)
def transcript_render(context: Context, payload: Edited) -> dict[str, Any]:
    """The recording without the words, and when the others are heard now."""
    require("montage")
    removed = frozenset(payload.remove)
    strange = sorted(place for place in removed if not 0 <= place < len(payload.words))
    if strange:
        raise Reject(
            f"remove: there is no word {strange[0]}, they are counted from 0 to {len(payload.words) - 1}"
        )
    for place, word in enumerate(payload.words):
        if word.end < word.start or (place and word.start < payload.words[place - 1].start):
            raise Reject(
                f"words: {place} ({word.text!r}) ends before it begins, or begins before the one before"
            )
    context.progress(0, None, "loading the video", stage="loading", item=payload.video)
    name = f"video ({payload.video})"
    path, media = Material(context).film(name, payload.video)
    width, height = _even(media.size or (0, 0))
    seconds = media.seconds or 0
    if not media.has_sound:
        raise Reject(f"{name}: there is no sound in it")
    if seconds > MOST_SECONDS or width * height > LARGEST[0] * LARGEST[1]:
        raise Reject(f"{name}: {MOST_SECONDS} seconds and {LARGEST[0]}x{LARGEST[1]} at the most")
    count = round(Fraction(seconds) * media.rate)
    spans = kept(payload.words, removed, rate=media.rate, frames=count)
    if not spans:
        raise Reject("remove: nothing would be left")
    wav, film = context.folder / "sound.wav", context.folder / "edited.mp4"
    samples = heard(name, path, rate=frames.SOUND_RATE, seconds=seconds, channels=media.channels)
    frames.keep_sound(wav, speech.sound(samples, spans, media.rate))
    seen = render.steady(frames.read(path, width=width, height=height, rate=media.rate), count, name)
    total = sum(span.end - span.start for span in spans)
    shown = _counted(context, speech.pictures(seen, spans), total)
    frames.write(film, shown, wav, width=width, height=height, rate=media.rate, fast=False)
    return {
        "video": context.artifact("edited.mp4", film, "video/mp4"),
        "duration": round(float(total / media.rate), 3),
        "removed_seconds": round(float((count - total) / media.rate), 3),
        "width": width,
        "height": height,
        "words": msgspec.to_builtins(moved(payload.words, removed, spans, rate=media.rate)),
    }


def _planned(context: Context, wanted: Wanted, material: Material) -> dict[str, Any]:
    """Where the beats are, and what is shown between them."""
    context.progress(0, None, "listening to the music", stage="listening", item=wanted.music)
    samples = material.music(
        wanted.music, rate=beats.RATE, seconds=wanted.seconds or MOST_SECONDS, mixed=True
    )
    found = beats.find(samples[:, 0])
    if found is None:
        raise Reject(f"music ({wanted.music}): no beat can be found in it")
    total = int(len(samples) / beats.RATE * RATE)
    points = cut_points(found.times, wanted.style, total)
    context.progress(0, None, "looking at the clips", stage="planning")
    lengths = [int((media.seconds or 0) * RATE) for _, media in material.clips(wanted.clips)]
    width, height = size_of(wanted.resolution)
    plan = Plan(
        clips=list(wanted.clips),
        music=wanted.music,
        style=wanted.style,
        width=width,
        height=height,
        shots=shots(points, lengths, total),
    )
    return {"tempo": found.tempo, "beats": found.times, "plan": msgspec.to_builtins(plan)}


def _rendered(context: Context, plan: Plan, material: Material, *, preview: bool) -> dict[str, Any]:
    """The montage as an artifact."""
    width, height = _small(plan) if preview else (plan.width, plan.height)
    name = "preview.mp4" if preview else "montage.mp4"
    wav, film = context.folder / "sound.wav", context.folder / name
    samples = material.music(plan.music, rate=frames.SOUND_RATE, seconds=plan.frames / RATE)
    frames.keep_sound(wav, samples)
    clips = [path for path, _ in material.clips(plan.clips)]
    shown = _counted(context, render.montage(plan, clips, width=width, height=height), plan.frames)
    frames.write(film, shown, wav, width=width, height=height, rate=Fraction(RATE), fast=preview)
    kept_as: dict[str, Any] = context.artifact(name, film, "video/mp4")
    return {**kept_as, "width": width, "height": height}


def _told(plan: Plan) -> dict[str, Any]:
    return {
        "style": plan.style,
        "duration": round(plan.frames / RATE, 3),
        "frames": plan.frames,
        "cuts": plan.cuts,
    }


def _counted(context: Context, shown: Iterator[bytes], total: int) -> Iterator[bytes]:
    """The frames, and word of how many there were."""
    for number, frame in enumerate(shown, 1):
        yield frame
        context.progress(number, total, f"frame {number} of {total}", stage="encoding")


def _small(plan: Plan) -> tuple[int, int]:
    share = min(_PREVIEW / max(plan.width, plan.height), 1)
    return _even((round(plan.width * share), round(plan.height * share)))


def _even(size: tuple[int, int]) -> tuple[int, int]:
    return max(size[0] // 2 * 2, 2), max(size[1] // 2 * 2, 2)
