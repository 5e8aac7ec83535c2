"""What a system needs beyond Hookline itself. It is an extra, and looked for when a handler of that system runs.

HooklineError
└── ExtraMissing   it is not installed; the text says what to type
"""

from collections.abc import Mapping
from importlib.util import find_spec
from types import MappingProxyType
from typing import Final

from infra.errors import HooklineError

# The modules that each extra of pyproject.toml brings.
EXTRAS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "playlists": ("aiosmtplib", "py3langid", "pyphen", "vaderSentiment", "yake"),
        "reports": ("fpdf",),
        "video": ("imageio_ffmpeg",),
        "montage": ("imageio_ffmpeg", "numpy"),
    }
)


class ExtraMissing(HooklineError):
    """An extra is not installed. The job is tried again, as after any error: somebody may install it meanwhile."""


def require(extra: str) -> None:
    """Go on only where an extra is installed.

    Raises:
        ExtraMissing: it is not.
    """
    if modules := lacking(extra):
        raise ExtraMissing(f"this worker lacks {', '.join(modules)}: {to_install(extra)}")


def lacking(extra: str) -> list[str]:
    """The modules of an extra that are not there."""
    return [module for module in EXTRAS[extra] if find_spec(module) is None]


def to_install(extra: str) -> str:
    """What to type.

    >>> to_install("video")
    "pip install '.[video]'"
    """
    return f"pip install '.[{extra}]'"
