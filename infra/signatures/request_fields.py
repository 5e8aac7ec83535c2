"""The fields of a template that are worked out from the request alone, each a function of it.

========================  ========================================================================================
``{body}``                the raw bytes
``{escaped}``             the body with ``\\uXXXX`` for what isn't ASCII (Meta)
``{box_escaped}``         the same, with backslashes doubled before (Box)
``{crc32}``               the body's CRC-32, in decimal (PayPal)
``{named_headers}``       what ``X-Hook0-Signature`` lists of headers: their names, then their values (Coinbase)
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
_MOST_NAMED_HEADERS = 32
_HOOK0 = b"x-hook0-signature"
_HEADER_NAME = re.compile(rb"[A-Za-z0-9_-]{1,128}")
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


def _named_headers(request: SignedRequest) -> bytes:
    """Hook0's rule: the names as they stand behind ``h=``, a dot, and the values of these headers with dots between them.

    Source: https://docs.rs/crate/hook0-client/latest/source/src/signature.rs
    """
    if _HOOK0 not in request.headers:  # a request that is still to be signed
        return b"."
    listed = [item for item in request.headers.only(_HOOK0).split(b",") if item.startswith(b"h=")]
    if len(listed) > 1:
        raise SignatureMalformed("more than one list of headers in the signature's header")
    names = listed[0][2:].split() if listed else []
    if len(names) > _MOST_NAMED_HEADERS or not all(map(_HEADER_NAME.fullmatch, names)):
        raise SignatureMalformed("what the signature lists are no headers, or too many")
    values = [request.headers.only(name.lower()) for name in names]
    return b" ".join(names) + b"." + b".".join(values)


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
    "named_headers": _named_headers,
    "form": _form,
    "decoded_url": _decoded_url,
    "url_without_port": _url_without_port,
    "url_with_port": _url_with_port,
}
WHOLE_BODY = frozenset({"body", "escaped", "box_escaped"})
URLS = frozenset({"url", "decoded_url", "url_without_port", "url_with_port"})
