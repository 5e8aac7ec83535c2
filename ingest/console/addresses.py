"""What may be believed of a request's addresses: where it came from, and where it wants to go afterwards."""

import re
from typing import Final
from urllib.parse import urlsplit

from infra.signatures import Headers

HOME: Final = "/console/"

_OURS: Final = re.compile(r"/console/[\w./?&=%:+~-]*", re.ASCII)
_SITES: Final = ("same-origin", "none")


def is_from_here(headers: Headers, *, public_url: str | None) -> bool:
    """Whether a browser says that a page of ours sent this request, or says nothing. What says nothing lacks our token.

    A browser that was told to send no referrer sends ``Origin: null`` from our own pages too.

    >>> ours = {"host": "hooks.example.com", "sec-fetch-site": "same-origin", "origin": "https://hooks.example.com"}
    >>> def check(**changes): return is_from_here(Headers([(n.replace("_", "-").encode(), v.encode()) for n, v in {**ours, **changes}.items()]), public_url=None)
    >>> check(), check(origin="null"), check(origin="https://evil.test"), check(**{"sec-fetch-site": "cross-site"})
    (True, True, False, False)
    """
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None and site not in _SITES:
        return False
    if origin in (None, "null"):
        return True
    return urlsplit(origin or "").netloc in {headers.get("host"), urlsplit(public_url or "").netloc} - {
        "",
        None,
    }


def is_secure(scheme: str, headers: Headers, *, public_url: str | None) -> bool:
    """Whether the browser came by https, as far as anybody can tell behind a proxy."""
    return (
        scheme == "https"
        or (public_url or "").startswith("https://")
        or headers.get("x-forwarded-proto") == "https"
    )


def own(address: str) -> str:
    """Where somebody wanted to go, if that is a page of the console; else where the console begins.

    >>> own("/console/events?status=failed"), own("//evil.test"), own("/console/../x"), own("javascript:alert(1)")
    ('/console/events?status=failed', '/console/', '/console/', '/console/')
    """
    return address if _OURS.fullmatch(address) and ".." not in address and "//" not in address else HOME
