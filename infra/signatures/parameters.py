"""Checks that the families share; each raises `SchemeError` with the parameter's name."""

import re
from collections.abc import Collection, Sequence

from infra.signatures.errors import SchemeError

_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}", re.ASCII)

_KEYS_URL = re.compile(r"https?://[!-~]{1,2000}", re.ASCII)


def header_name(parameter: str, name: str) -> bytes:
    """A header's name as `Headers.all` wants it.

    >>> header_name("header", "X-Hub-Signature")
    b'x-hub-signature'
    """
    if not _HEADER.fullmatch(name):
        raise SchemeError(parameter, "needs the name of a header")
    return name.lower().encode("ascii")


def one_of(parameter: str, value: str, allowed: Collection[str]) -> None:
    """Refuse a word that is not among those allowed."""
    if value not in allowed:
        raise SchemeError(parameter, f"needs one of: {', '.join(allowed)}")


def check_keys_url(url: str | None) -> None:
    """Refuse what is no address of a document with keys."""
    if url is not None and not _KEYS_URL.fullmatch(url):
        raise SchemeError("keys_url", "needs an address such as https://acme.example/.well-known/jwks.json")


def texts(value: str | Sequence[str] | None) -> tuple[str, ...]:
    """A parameter that may be one text or several.

    >>> texts(None), texts("a"), texts(["a", "b"])
    ((), ('a',), ('a', 'b'))
    """
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)
