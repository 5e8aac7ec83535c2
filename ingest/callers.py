"""Who called, for the log: what the platform's proxy says where there is one, and nobody's word elsewhere.

Nothing is decided by it. A header that anybody can send is worth nothing unless a proxy that nobody can go around sets it,
which is why uvicorn's own handling of such headers stays off (`infra.cli.listening`).
"""

import re
from ipaddress import ip_address
from typing import Final

from starlette.types import Scope

_REQUEST_IDS: Final = (b"x-request-id", b"x-railway-request-id", b"fly-request-id")
_REQUEST_ID: Final = re.compile(r"[\w.:=+/-]{1,128}", re.ASCII)


def request_id(scope: Scope) -> str | None:
    """What the platform's proxy calls a request in its own log, if it says so.

    >>> request_id({"headers": [(b"x-railway-request-id", b"kX7_aZ")]}), request_id({"headers": []})
    ('kX7_aZ', None)
    """
    for name, value in scope["headers"]:
        told: str = value.decode("latin-1")
        if name in _REQUEST_IDS and _REQUEST_ID.fullmatch(told):
            return told
    return None


def caller(scope: Scope, header: str | None) -> str:
    """The address that a request came from.

    Args:
        header: the one that the platform's proxy sets; None where there is no proxy. Of several addresses in it the last
            counts, which the proxy has put there itself.

    >>> at_the_socket = {"client": ("10.0.0.9", 50000), "headers": [(b"x-real-ip", b"203.0.113.7")]}
    >>> caller(at_the_socket, "X-Real-IP"), caller(at_the_socket, None)
    ('203.0.113.7', '10.0.0.9')
    """
    client = scope.get("client")
    peer = "" if client is None else str(client[0])
    if header is None:
        return peer
    name = header.lower().encode("latin-1")
    told = [value for known, value in scope["headers"] if known == name]
    try:
        return str(ip_address(told[-1].decode("latin-1").rpartition(",")[2].strip())) if told else peer
    except ValueError:
        return peer


def called_by(scope: Scope, header: str | None) -> dict[str, str]:
    """Both, as fields of a log's line."""
    told = request_id(scope)
    return {"client": caller(scope, header)} | ({} if told is None else {"request": told})
