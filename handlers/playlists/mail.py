"""The letter that says that a long playlist is done."""

from datetime import timedelta
from email.message import EmailMessage
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from handlers import Reject
from infra.durations import in_words

_TIMEOUT: Final = 30.0


def message(to: str, result: dict[str, Any], *, took: timedelta, sender: str) -> EmailMessage:
    """The letter.

    Raises:
        Reject: there is no such address.
    """
    letter = EmailMessage()
    try:
        letter["To"], letter["From"] = to, sender
        letter["Subject"] = f"{result['playlist']}: {len(result['songs'])} songs analysed"
    except ValueError as error:
        raise Reject(f"{to!r} is no address to write to: {error}") from None
    failed = [f"- {one['title']}: {one['error']}" for one in result["failed"]]
    lines = [
        f"The playlist {result['playlist']!r} is analysed: {len(result['songs'])} songs in {in_words(took)}.",
        *(["", f"{len(failed)} could not be analysed:", *failed] if failed else []),
    ]
    letter.set_content("\n".join(lines))
    return letter


async def send(url: str, letter: EmailMessage) -> dict[str, str]:
    """Send it. STARTTLS is used where the server has it.

    Args:
        url: ``smtp://user:password@host:587``, or ``smtps://`` for TLS from the first byte.

    Returns:
        Who was written to; for the step that keeps it.
    """
    import aiosmtplib

    parts = urlsplit(url)
    await aiosmtplib.send(
        letter,
        hostname=parts.hostname,
        port=parts.port,
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        use_tls=parts.scheme == "smtps",
        timeout=_TIMEOUT,
    )
    return {"to": str(letter["To"])}
