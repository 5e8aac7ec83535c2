"""The fields of a template that are worked out from the request alone, each a function of it.

========================  ========================================================================================
``{body}``                the raw bytes
``{escaped}``             the body with ``\\uXXXX`` for what isn't ASCII (Meta)
``{box_escaped}``         the same, with backslashes doubled before (Box)
``{crc32}``               the body's CRC-32, in decimal (PayPal)
``{form}``                names and values of a form, sorted, one after the other (Twilio)
``{method}``, ``{url}``   as the sender knows them
``{decoded_url}``         the URL with the percent signs decoded that HubSpot decodes
``{url_without_port}``    the URL without a port
``{url_with_port}``       the URL with its port, the default one if there is none
========================  ========================================================================================
"""

import json
import re
from collections.abc import Callable, Mapping
from hashlib import sha256
from urllib.parse import urlsplit, urlunsplit
from zlib import crc32

from infra.signatures.errors import SignatureMalformed, SignatureMismatch, SignatureMissing
from infra.signatures.request import SignedRequest, form_fields

_MOST_FORM_FIELDS = 1000
_DEFAULT_PORTS = {"https": 443, "http": 80}
_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")
# https://developers.hubspot.com/docs/guides/apps/authentication/validating-requests
_HUBSPOT_DECODED = re.compile(rb"%(3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)", re.IGNORECASE)


def _text(request: SignedRequest) -> str:
    try:
        return request.body.decode("utf-8")
    except UnicodeDecodeError:
        raise SignatureMismatch("the body isn't UTF-8, so no other form of it was signed") from None


def _escape(text: str) -> bytes:
    return _NOT_ASCII.sub(lambda run: json.dumps(run[0])[1:-1], text).encode("ascii")


def _escaped(request: SignedRequest) -> bytes:
    return _escape(_text(request))


def _box_escaped(request: SignedRequest) -> bytes:
    return _escape(_text(request).replace("\\", "\\\\"))


def _crc32(request: SignedRequest) -> bytes:
    return str(crc32(request.body)).encode("ascii")


def _form(request: SignedRequest) -> bytes:
    """Twilio's rule: a form's fields, repeated values once; any other body only by a ``bodySHA256`` in the signed URL.

    Source: https://www.twilio.com/docs/usage/security#validating-requests and its SDKs' ``request_validator``.
    """
    media_type = (request.headers.get("content-type") or "").partition(";")[0].strip().lower()
    if media_type == "application/x-www-form-urlencoded":
        return b"".join(
            name + value for name, value in sorted(set(form_fields(request.body, most=_MOST_FORM_FIELDS)))
        )
    query = form_fields(_url(request).partition(b"?")[2], most=_MOST_FORM_FIELDS)
    claimed = [value for name, value in query if name == b"bodySHA256"]
    held = [sha256(request.body).hexdigest().encode("ascii")]
    if (claimed or request.body) and [value.lower() for value in claimed] != held:
        raise SignatureMismatch("the URL that was signed doesn't hold the body's SHA-256")
    return b""


def with_body_hash(url: str, body: bytes) -> str:
    """A URL that vouches for a body which is no form, as Twilio writes it.

    >>> with_body_hash("https://hooks.example.com/hooks/twilio", b"{}")[:55]
    'https://hooks.example.com/hooks/twilio?bodySHA256=44136'
    """
    return f"{url}{'&' if '?' in url else '?'}bodySHA256={sha256(body).hexdigest()}"


def _method(request: SignedRequest) -> bytes:
    return request.method.encode("utf-8", "surrogateescape")


def _url(request: SignedRequest) -> bytes:
    if request.url is None:
        raise SignatureMissing("the URL that was signed isn't known", setting="HOOKLINE_PUBLIC_URL")
    return request.url.encode("utf-8", "surrogateescape")


def _decoded_url(request: SignedRequest) -> bytes:
    return _HUBSPOT_DECODED.sub(lambda found: bytes([int(found[1], 16)]), _url(request))


def _url_without_port(request: SignedRequest) -> bytes:
    return _with_port(_url(request), keep=False)


def _url_with_port(request: SignedRequest) -> bytes:
    return _with_port(_url(request), keep=True)


def _with_port(url: bytes, *, keep: bool) -> bytes:
    try:
        parts = urlsplit(url.decode("utf-8", "surrogateescape"))
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        raise SignatureMalformed("the URL can't be read") from None
    host = re.sub(r":[0-9]*$", "", parts.netloc)
    netloc = f"{host}:{port}" if keep and port else host
    return urlunsplit(parts._replace(netloc=netloc)).encode("utf-8", "surrogateescape")


FIELDS: Mapping[str, Callable[[SignedRequest], bytes]] = {
    "body": lambda request: request.body,
    "method": _method,
    "url": _url,
    "escaped": _escaped,
    "box_escaped": _box_escaped,
    "crc32": _crc32,
    "form": _form,
    "decoded_url": _decoded_url,
    "url_without_port": _url_without_port,
    "url_with_port": _url_with_port,
}
WHOLE_BODY = frozenset({"body", "escaped", "box_escaped"})
URLS = frozenset({"url", "decoded_url", "url_without_port", "url_with_port"})
