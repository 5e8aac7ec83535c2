"""The letter that says that a long playlist is done. It is a job of its own: a mail server that is away fails no playlist."""

from datetime import timedelta
from email.message import EmailMessage
from typing import Annotated, Final
from urllib.parse import unquote, urlsplit

from msgspec import Meta, Struct

from handlers import Reject, handler
from handlers.extras import require
from infra.durations import in_words
from infra.settings import Settings

_TIMEOUT: Final = 30.0

Address = Annotated[str, Meta(pattern=r"^[^@\s]+@[^@\s]+\Z", max_length=254)]


class Failure(Struct):
    """A song that could not be analysed, and why."""

    title: str
    error: str


class Letter(Struct, kw_only=True):
    """What is written, to whom.

    Args:
        songs: how many were analysed.
        seconds: how long it took.
    """

    to: Address
    playlist: str
    songs: int
    failed: list[Failure]
    seconds: float


@handler("api", "playlists.letter", queue="low", timeout="1m")
async def letter(payload: Letter) -> dict[str, str]:
    """Write to whoever asked for it."""
    require("playlists")
    settings = Settings.load()
    if settings.smtp_url is None:
        raise Reject("HOOKLINE_SMTP_URL is not set")
    await send(settings.smtp_url, message(payload, sender=settings.mail_from))
    return {"to": payload.to}


def message(told: Letter, *, sender: str) -> EmailMessage:
    """The letter as it is sent."""
    made = EmailMessage()
    made["To"], made["From"] = told.to, sender
    made["Subject"] = f"{' '.join(told.playlist.split())}: {told.songs} songs analysed"
    failed = [f"- {one.title}: {one.error}" for one in told.failed]
    took = in_words(timedelta(seconds=told.seconds))
    lines = [
        f"The playlist {told.playlist!r} is analysed: {told.songs} songs in {took}.",
        *(["", f"{len(failed)} could not be analysed:", *failed] if failed else []),
    ]
    made.set_content("\n".join(lines))
    return made


async def send(url: str, message: EmailMessage) -> None:
    """Send it. STARTTLS is used where the server has it.

    Args:
        url: ``smtp://user:password@host:587``, or ``smtps://`` for TLS from the first byte.

    Raises:
        aiosmtplib.SMTPException: the server does not take it.
    """
    import aiosmtplib

    parts = urlsplit(url)
    await aiosmtplib.send(
        message,
        hostname=parts.hostname,
        port=parts.port,
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        use_tls=parts.scheme == "smtps",
        timeout=_TIMEOUT,
    )
