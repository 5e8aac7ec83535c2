"""Moments as people read them. ``static/times.js`` says the same in a browser, as time goes on."""

from datetime import datetime, timedelta

from infra.durations import in_words


def parsed(moment: str | datetime) -> datetime:
    """A moment, from RFC 3339 where it is text."""
    return datetime.fromisoformat(moment) if isinstance(moment, str) else moment


def ago(moment: str | datetime, now: datetime) -> str:
    """How long before now, roughly; or how long until then.

    >>> from datetime import UTC
    >>> now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    >>> ago("2026-11-22T11:58:45.000Z", now), ago("2026-11-22T12:01:30Z", now), ago(now, now)
    ('1 min ago', 'in 1 min 30 s', 'just now')
    """
    then = parsed(moment)
    passed = (now - then).total_seconds()
    if abs(passed) < 1:
        return "just now"
    if passed < 0:
        return f"in {running(-passed)}"
    number, unit = running(passed).split()[:2]
    return f"{number} {unit} ago"


def left(until: datetime, now: datetime) -> str:
    """How long until then, where it was only a guess that it is then.

    >>> now = datetime(2026, 11, 22, 12)
    >>> left(now + timedelta(seconds=75), now), left(now, now)
    ('1 min 15 s', 'any moment now')
    """
    seconds = (until - now).total_seconds()
    return running(seconds) if seconds >= 1 else "any moment now"


def running(seconds: float) -> str:
    """A duration that goes on, in whole seconds.

    >>> running(0.4), running(7.26), running(75)
    ('0 s', '7 s', '1 min 15 s')
    """
    whole = int(seconds)
    return in_words(timedelta(seconds=whole)) if whole >= 1 else "0 s"


def exact(moment: str | datetime) -> str:
    """To the second, in UTC.

    >>> exact("2026-11-22T11:58:45.123Z")
    '2026-11-22 11:58:45 UTC'
    """
    then = parsed(moment)
    return then.strftime("%Y-%m-%d %H:%M:%S UTC")
