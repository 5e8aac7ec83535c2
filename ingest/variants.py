"""What may have happened to a request on its way, or in the settings at either end: each as a change that can be tried.

A change makes another `Trial` of one; if that holds, the change is what is wrong. Whatever a change says is fit to be shown:
names of sources and schemes, never a secret.
"""

import json
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from msgspec import structs

from infra.signatures import Scheme, SchemeError, SignedRequest, providers
from infra.signatures.hmac_template import ALGORITHMS, HmacTemplate
from infra.strict_json import StrictJSONError, loads
from ingest.sources import Source, Sources

_PREFIX: Final = "whsec_"
_LONGEST_SHOWN: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A request, and what it is checked by."""

    scheme: Scheme
    keys: tuple[bytes, ...]
    request: SignedRequest


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that may be wrong.

    Args:
        what: in a sentence, for a person.
        cure: what to do about it.
        make: the trial with that change.
    """

    what: str
    cure: str
    make: Callable[[Trial], Trial]


def of_keys(source: Source, sources: Sources, tried: str | None) -> Iterator[Change]:
    """Another secret, or the right one read in another way.

    Args:
        tried: a secret that the operator wants to be tried, such as the previous one.
    """
    if tried is not None:
        for how, key in _readings(tried.strip()):
            yield _with_keys(
                f"The secret that you gave would hold{how}.",
                "The sender signs with that one: give the source both, comma-separated, until it doesn't.",
                key,
            )
    for key in source.secrets:
        for how, other in _respelled(key):
            yield _with_keys(
                f"The source's secret would hold{how}.",
                "Write the secret as the sender uses it, or set `key_encoding`, where the provider is `hmac`.",
                other,
            )
    for neighbour in sources:
        if neighbour.name == source.name:
            continue
        for key in neighbour.secrets:
            for how, other in [("", key), *_respelled(key)]:
                yield _with_keys(
                    f"The secret of source {neighbour.name} would hold{how}.",
                    f"The sender uses that secret, or calls the wrong address: /hooks/{neighbour.name} is the other.",
                    other,
                )


def of_schemes(source: Source) -> Iterator[Change]:
    """Another way to sign: of the same provider, of our own hand, of another provider."""
    scheme = source.scheme
    if isinstance(scheme, HmacTemplate):
        others = {"hex": "base64", "base64": "hex"}
        for encoding in filter(None, [others.get(scheme.encoding)]):
            yield from _altered(scheme, f"encoded as {encoding}", encoding=encoding)
        for algorithm in ALGORITHMS:
            if algorithm != scheme.algorithm:
                yield from _altered(scheme, f"made by HMAC-{algorithm.upper()}", algorithm=algorithm)
        if scheme.prefix:
            yield from _altered(scheme, f"without the prefix {scheme.prefix}", prefix="")
    own = providers()[source.provider]
    for name in own.schemes:
        yield from _of_table(source, own.name, name, f'Set `scheme = "{name}"` for this source.')
    for other in providers().values():
        for name in other.schemes if other is not own and not other.parameters else ():
            yield from _of_table(
                source, other.name, name, f'Is the provider right? Set `provider = "{other.name}"`.'
            )


def of_bodies(body: bytes) -> Iterator[Change]:
    """The body before something on the way wrote it anew."""
    cure = "Something between the sender and us changes the body: let it pass the bytes as they are."
    for what, other in _bodies(body):
        if other != body:
            yield _with_body(f"It holds for the body {what}.", cure, other)


def of_addresses(request: SignedRequest) -> Iterator[Change]:
    """The address as the sender may know it, where it is signed."""
    cure = "Give the sender the address that `hookline sources show` prints, or mend HOOKLINE_PUBLIC_URL."
    for other in dict.fromkeys(_addresses(request)):
        if other != request.url:
            shown = other.partition("?")[0][:_LONGEST_SHOWN]
            yield _with_url(f"It holds for the address {shown}.", cure, other)


def _readings(text: str) -> Iterator[tuple[str, bytes]]:
    """A secret's text as keys."""
    yield "", text.encode("utf-8")
    yield from _respelled(text.encode("utf-8"))


def _respelled(key: bytes) -> Iterator[tuple[str, bytes]]:
    """A key as it would be if its secret were read in another way."""
    bare = key.removeprefix(_PREFIX.encode())
    if bare != key:
        yield f" without `{_PREFIX}`", bare
    for what, decode in ((" decoded from base64", _from_base64), (" decoded from hex", _from_hex)):
        if decoded := decode(bare):
            yield what, decoded
    encoded = b64encode(key)
    yield " as the text of its base64", encoded
    yield f" as text, `{_PREFIX}` included", _PREFIX.encode() + encoded
    yield " as the text of its hex", key.hex().encode()
    for quote in (b'"', b"'"):
        yield " in quotation marks", quote + key + quote
    yield " with a line's end behind it", key + b"\n"


def _from_base64(text: bytes) -> bytes:
    try:
        return b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except Base64Error:
        return b""


def _from_hex(text: bytes) -> bytes:
    try:
        return bytes.fromhex(text.decode("ascii"))
    except ValueError:
        return b""


def _bodies(body: bytes) -> Iterator[tuple[str, bytes]]:
    yield "without white space around it", body.strip()
    yield "with a line's end behind it", body + b"\n"
    yield "with CR LF behind it", body + b"\r\n"
    yield "with CR LF at its lines' ends", body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    yield "with LF at its lines' ends", body.replace(b"\r\n", b"\n")
    yield "without a byte order mark", body.removeprefix(b"\xef\xbb\xbf")
    yield "empty", b""
    try:
        value = loads(body)
    except StrictJSONError:
        return
    for what, form in _FORMS.items():
        try:
            text = form(value)
            yield f"as JSON written {what}", text.encode("utf-8")
            yield f"as JSON written {what}, with \\/ for /", text.replace("/", "\\/").encode("utf-8")
        except (ValueError, RecursionError):  # a lone surrogate, a number too long to be written
            continue


def _form(**how: Any) -> Callable[[Any], str]:
    return lambda value: json.dumps(value, **how)


_TIGHT: Final = (",", ":")
_FORMS: Final = {
    "without spaces": _form(separators=_TIGHT, ensure_ascii=False),
    "without spaces, in ASCII": _form(separators=_TIGHT),
    "with spaces": _form(ensure_ascii=False),
    "with spaces, in ASCII": _form(),
    "without spaces, keys sorted": _form(separators=_TIGHT, ensure_ascii=False, sort_keys=True),
    "with spaces, keys sorted": _form(sort_keys=True, ensure_ascii=False),
    "in lines, by 2": _form(indent=2, ensure_ascii=False),
    "in lines, by 4": _form(indent=4, ensure_ascii=False),
}


def _addresses(request: SignedRequest) -> Iterator[str]:
    parts = urlsplit(request.url or "")
    path, query = parts.path or "/", request.query.decode("latin-1")
    hosts = [request.headers.get("x-forwarded-host"), request.headers.get("host"), parts.netloc]
    for host in filter(None, hosts):
        for scheme in ("https", "http"):
            for each in (path, path.rstrip("/") + "/", path.rstrip("/")):
                yield urlunsplit((scheme, host, each, query, ""))
                yield urlunsplit((scheme, host, each, "", ""))


def _altered(scheme: HmacTemplate, what: str, **changes: str) -> Iterator[Change]:
    try:
        other = replace(scheme, **changes)  # type: ignore[arg-type]  # all of these are text
    except SchemeError:
        return
    cure = "Is the provider right? Spell it out with the provider `hmac`, if the sender signs so."
    yield Change(f"The signature holds {what}.", cure, lambda trial: replace(trial, scheme=other))


def _of_table(source: Source, provider: str, name: str, cure: str) -> Iterator[Change]:
    try:
        scheme = providers()[provider].build_scheme(name)
    except SchemeError:
        return
    if scheme == source.scheme or scheme.covers == "nothing" or not scheme.needs_secret:
        return
    keys = tuple(key for secret in source.secrets if (key := _key_of(scheme, secret)))
    if keys:
        what = f"It holds as {provider} signs (scheme {name}): {scheme.summary}."
        yield Change(what, cure, lambda trial: replace(trial, scheme=scheme, keys=keys))


def _key_of(scheme: Scheme, key: bytes) -> bytes:
    try:
        return scheme.key(key.decode("utf-8", "surrogateescape"))
    except SchemeError:
        return b""


def _with_keys(what: str, cure: str, key: bytes) -> Change:
    return Change(what, cure, lambda trial: replace(trial, keys=(key,)))


def _with_body(what: str, cure: str, body: bytes) -> Change:
    return Change(what, cure, lambda trial: replace(trial, request=structs.replace(trial.request, body=body)))


def _with_url(what: str, cure: str, url: str) -> Change:
    return Change(what, cure, lambda trial: replace(trial, request=structs.replace(trial.request, url=url)))
