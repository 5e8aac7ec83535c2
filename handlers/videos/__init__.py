"""Videos: pictures and a sound become an MP4, each picture shown for a while and passing into the next.

``docs/systems/videos.md`` shows the payload. Needs the extra ``video`` (``pip install '.[video]'``).
"""

from pathlib import Path
from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from handlers import Context, Reject, handler
from handlers.extras import require
from handlers.media import ffmpeg
from handlers.media.inputs import Reference, check_size, loaded, with_sound
from handlers.media.picture import Fit, Resolution, fitted, size_of
from handlers.media.probe import probe
from handlers.videos import slideshow
from handlers.videos.slideshow import Slideshow, Transition

MOST_SECONDS: Final = 600
_THUMBNAIL: Final = "scale=320:320:force_original_aspect_ratio=decrease:force_divisible_by=2"


class Wanted(Struct):
    """What the video is made of.

    Args:
        images: ids of uploads, or https URLs; in the order in which they are shown.
        audio: likewise; cut at the end of the video, or followed by silence. None: a video without sound.
        seconds: for which each picture is shown; its share of a transition counts.
    """

    images: Annotated[list[Reference], Meta(min_length=1, max_length=100)]
    audio: Reference | None = None
    seconds: Annotated[float, Meta(ge=0.5, le=60)] = 3.0
    transition: Transition = "fade"
    resolution: Resolution = "1280x720"
    fit: Fit = "contain"


@handler("api", "videos.generate", isolation="process", timeout="30m", max_attempts=3)
def generate(context: Context, payload: Wanted) -> dict[str, Any]:
    """The video and a thumbnail, as artifacts."""
    require("video")
    if payload.seconds * len(payload.images) > MOST_SECONDS:
        raise Reject(f"a video has {MOST_SECONDS} seconds at the most")
    try:
        width, height = size_of(payload.resolution)
    except ValueError as error:
        raise Reject(str(error)) from None
    show = Slideshow(
        pictures=len(payload.images),
        seconds=payload.seconds,
        transition=payload.transition,
        width=width,
        height=height,
    )
    made: dict[str, Any] = context.step("video", _made, context, payload, show)
    context.progress(show.frames, show.frames, "done", stage="completed")
    return made


def _made(context: Context, wanted: Wanted, show: Slideshow) -> dict[str, Any]:
    context.progress(0, len(wanted.images), stage="queued")
    audio = None if wanted.audio is None else with_sound(context, f"audio ({wanted.audio})", wanted.audio)[0]
    slides = _slides(context, wanted, show)
    film, thumbnail = context.folder / "video.mp4", context.folder / "thumbnail.jpg"
    ffmpeg.convert(
        *slideshow.arguments(show, slides, audio, film), told=lambda frame: _tell(context, show, frame)
    )
    ffmpeg.convert(
        *("-f", "png_pipe", "-i", f"file:{slides[0]}", "-vf", _THUMBNAIL),
        *("-f", "image2", "-update", "1", f"file:{thumbnail}"),
    )
    return {
        "video": context.artifact("video.mp4", film, "video/mp4"),
        "thumbnail": context.artifact("thumbnail.jpg", thumbnail, "image/jpeg"),
        "bytes": film.stat().st_size,
        "duration": show.duration,
        "frames": show.frames,
        "width": show.width,
        "height": show.height,
    }


def _slides(context: Context, wanted: Wanted, show: Slideshow) -> list[Path]:
    """The pictures, one after the other, made as large as the video."""
    slides = []
    for number, reference in enumerate(wanted.images, 1):
        name = f"image {number} ({reference})"
        context.progress(
            number - 1,
            len(wanted.images),
            f"image {number} of {len(wanted.images)}",
            stage="processing",
            item=reference,
        )
        given, slide = loaded(context, name, reference), context.folder / f"slide-{number}.png"
        found = probe(given, ffmpeg.PICTURES)
        if found is None or found.size is None:
            raise Reject(f"{name}: no picture; PNG, JPEG, WebP, BMP and GIF are known")
        check_size(name, found.size)
        filters = f"format=rgb24,{fitted(show.width, show.height, wanted.fit)}"
        try:
            ffmpeg.convert(
                *ffmpeg.guarded(given, ffmpeg.PICTURES),
                *("-vf", filters, "-frames:v", "1", "-f", "image2", "-update", "1", f"file:{slide}"),
            )
        except ffmpeg.MediaError as error:
            raise Reject(f"{name}: can't be read: {error}") from error
        if not slide.exists():
            raise Reject(f"{name}: there is no picture in it")
        given.unlink()
        slides.append(slide)
    return slides


def _tell(context: Context, show: Slideshow, frame: int) -> None:
    done = min(frame, show.frames)
    context.progress(done, show.frames, f"frame {done} of {show.frames}", stage="encoding")
