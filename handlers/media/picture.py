"""How large a picture is, and how another one is fitted into it."""

from typing import Annotated, Final, Literal

from msgspec import Meta

Fit = Literal["contain", "cover"]
Resolution = Annotated[str, Meta(pattern=r"^\d{2,4}x\d{2,4}$")]

LARGEST: Final = (3840, 2160)


def size_of(resolution: str) -> tuple[int, int]:
    """Width and height of ``1280x720``; H.264 wants even numbers.

    Raises:
        ValueError: it is odd, or too large.

    >>> size_of("1280x720")
    (1280, 720)
    """
    width, height = map(int, resolution.split("x"))
    if width % 2 or height % 2:
        raise ValueError(f"{resolution}: width and height have to be even")
    if not (
        min(width, height) >= 16
        and max(width, height) <= max(LARGEST)
        and width * height <= LARGEST[0] * LARGEST[1]
    ):
        raise ValueError(f"{resolution}: from 16x16 to {LARGEST[0]}x{LARGEST[1]}")
    return width, height


def fitted(width: int, height: int, fit: Fit) -> str:
    """The filters that make a picture that large: ``contain`` shows all of it on black, ``cover`` fills all and crops.

    >>> fitted(640, 360, "cover")
    'scale=640:360:force_original_aspect_ratio=increase,crop=640:360,setsar=1'
    """
    if fit == "cover":
        return f"scale={width}:{height}:force_original_aspect_ratio=increase,crop={width}:{height},setsar=1"
    return (
        f"scale={width}:{height}:force_original_aspect_ratio=decrease,"
        f"pad={width}:{height}:(ow-iw)/2:(oh-ih)/2,setsar=1"
    )
