"""The provider table, read from the files in ``table`` beside this file: one provider, one file.

A provider is data: a family of signatures with its parameters, and where its events' id and type stand. Adding
one is a file there and a vector in ``tests/data/signature_vectors.json``; adding a family is a module here and a line in
`FAMILIES`.
"""

import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any, Literal

from infra.durations import parse_duration
from infra.expressions import compile_expression
from infra.signatures.asymmetric import Asymmetric
from infra.signatures.body_signature import BodySignature
from infra.signatures.errors import SchemeError
from infra.signatures.graph_notification import GraphNotification
from infra.signatures.hmac_template import HmacTemplate
from infra.signatures.json_web_token import JsonWebToken
from infra.signatures.keyed_hash import KeyedHash
from infra.signatures.parameters import texts
from infra.signatures.scheme import Scheme
from infra.signatures.sns import SnsMessage
from infra.signatures.static import SecretInURL, StaticKey
from infra.signatures.unsigned import Unsigned

_Family = (
    type[HmacTemplate]
    | type[KeyedHash]
    | type[Asymmetric]
    | type[JsonWebToken]
    | type[StaticKey]
    | type[SecretInURL]
    | type[BodySignature]
    | type[SnsMessage]
    | type[GraphNotification]
    | type[Unsigned]
)
FAMILIES: Mapping[str, _Family] = {
    "hmac": HmacTemplate,
    "keyed-hash": KeyedHash,
    "asymmetric": Asymmetric,
    "jwt": JsonWebToken,
    "static": StaticKey,
    "url-secret": SecretInURL,
    "body": BodySignature,
    "sns": SnsMessage,
    "graph": GraphNotification,
    "none": Unsigned,
}
HANDSHAKES = frozenset(
    {
        "echo-query",  # answer a parameter's value; `verify_token`: only where that parameter has the secret
        "echo-json",  # answer a member of the body, as text, or as the same JSON
        "keyed",  # answer an HMAC of what was sent
        "echo-header",  # answer a header, and keep its value as the secret
        "secret-in-body",  # the body brings the secret, for the operator to see
        "fixed",  # answer what the entry says
        "visit",  # call an address from the verified body
    }
)

_TABLE = Path(__file__).with_name("table")
_CONVERTERS: Mapping[str, Callable[[Any], Any]] = {
    "tolerance": parse_duration,
    "tolerance_future": parse_duration,
    "fields": texts,
    "required": texts,
    "versions": texts,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A body that carries several events.

    Args:
        items: where the list stands: ``$`` is the body itself, ``$.events`` a member of it.
        event_id, event_type: as in `Provider`, read from an item.
    """

    items: str
    event_id: tuple[str, ...] = ()
    event_type: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """How a sender signs, names and identifies its events.

    Args:
        name: its file's name, and the default name of its source.
        sources: where the facts were read.
        grade: how good the sources are: ``official``, ``third-party``, or ``own`` for what we define.
        setup: where to click there, and where the secret is found, in words.
        answers_within: how long the sender waits for an answer, in words; empty: nothing is known.
        retries: when it sends an event again, in words.
        body: ``json``: always JSON; ``any``: JSON only by content type, or where an expression reads it.
        schemes: by name, a family and its parameters.
        scheme: the name of the default scheme.
        parameters: those that a source spells out itself.
        event_id, event_type: expressions; the first that is there counts.
        batch: where several events come in one body.
        handshakes: what the sender asks before, or beside, its events; ``kind`` is one of `HANDSHAKES`.
        rotation: how the sender changes its secret, in words; empty: one secret at a time, as far as we know.
        notes: what whoever sets it up has to know.
    """

    name: str
    title: str
    sources: tuple[str, ...]
    grade: Literal["official", "third-party", "own"] = "official"
    setup: str = ""
    answers_within: str = ""
    retries: str = ""
    body: Literal["json", "any"]
    schemes: Mapping[str, Mapping[str, Any]] = field(repr=False)
    scheme: str
    parameters: frozenset[str] = frozenset()
    event_id: tuple[str, ...] = ()
    event_type: tuple[str, ...] = ()
    batch: Batch | None = None
    handshakes: tuple[Mapping[str, Any], ...] = ()
    rotation: str = ""
    notes: tuple[str, ...] = ()

    def build_scheme(self, name: str | None = None, parameters: Mapping[str, Any] | None = None) -> Scheme:
        """The scheme with its parameters, checked.

        Args:
            name: which one; the default one when None.
            parameters: what the source spells out, as text, lists and tables; ``tolerance`` is allowed wherever a
                timestamp is signed.

        Raises:
            SchemeError: no such scheme, a parameter that the provider leaves no choice in, or a wrong value.

        >>> providers()["make"].build_scheme("hmac").covers
        'body'
        """
        given = dict(parameters or {})
        if name is not None and name not in self.schemes:
            raise SchemeError("scheme", f"needs one of: {', '.join(self.schemes)}")
        unknown = sorted(set(given) - self.parameters - {"tolerance"})
        if unknown:
            raise SchemeError(unknown[0], f"is not a key of provider {self.name}")
        scheme = _build({**self.schemes[name or self.scheme], **given})
        if "tolerance" in given and not scheme.has_timestamp:
            raise SchemeError("tolerance", "means nothing, for no timestamp is signed")
        return scheme


@cache
def providers() -> Mapping[str, Provider]:
    """Every provider by name; the files are read once.

    >>> len(providers()) > 88, providers()["github"].title
    (True, 'GitHub')
    """
    files = sorted(_TABLE.glob("*.toml"))
    return read_providers({file.stem: tomllib.loads(file.read_text(encoding="utf-8")) for file in files})


def read_providers(table: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Provider]:
    """Check a table as the files have it.

    Raises:
        ValueError: an entry that can't be used, with its name.
    """
    return {name: _read_provider(name, entry, table) for name, entry in table.items()}


def _read_provider(name: str, entry: Mapping[str, Any], table: Mapping[str, Mapping[str, Any]]) -> Provider:
    unknown = sorted(set(entry) - {known.name for known in fields(Provider)})
    if unknown:
        raise ValueError(f"provider {name}: {unknown[0]} is not a key of a provider")
    try:
        schemes = {key: _inherited(scheme, table) for key, scheme in entry["schemes"].items()}
        provider = Provider(
            name=name,
            title=entry["title"],
            sources=tuple(entry["sources"]),
            grade=entry.get("grade", "official"),
            setup=entry.get("setup", ""),
            answers_within=entry.get("answers_within", ""),
            retries=entry.get("retries", ""),
            body=entry["body"],
            schemes=schemes,
            scheme=entry.get("scheme") or _only_scheme(schemes),
            parameters=frozenset(entry.get("parameters", ())),
            event_id=_expressions(entry.get("event_id", ())),
            event_type=_expressions(entry.get("event_type", ())),
            batch=_batch(entry.get("batch")),
            handshakes=tuple(entry.get("handshakes", ())),
            rotation=entry.get("rotation", ""),
            notes=tuple(entry.get("notes", ())),
        )
        _check(provider)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"provider {name}: {error}") from error
    return provider


def _check(provider: Provider) -> None:
    if provider.grade not in ("official", "third-party", "own"):
        raise ValueError("needs a `grade`: official, third-party or own")
    if provider.scheme not in provider.schemes:
        raise ValueError(f"has no scheme {provider.scheme}")
    for handshake in provider.handshakes:
        if handshake["kind"] not in HANDSHAKES:
            raise ValueError(f"has a handshake of no kind: {handshake['kind']}")
    if not provider.parameters:
        for scheme in provider.schemes:
            provider.build_scheme(scheme)


def _inherited(scheme: Mapping[str, Any], table: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    """A scheme as it is, or another provider's (``like = "svix/svix"``) with changes."""
    if "like" not in scheme:
        return scheme
    provider, _, name = scheme["like"].partition("/")
    changes = {key: value for key, value in scheme.items() if key != "like"}
    return {**_inherited(table[provider]["schemes"][name], table), **changes}


def _batch(entry: Mapping[str, Any] | None) -> Batch | None:
    if entry is None:
        return None
    return Batch(
        items=entry["items"],
        event_id=_expressions(entry.get("event_id", ())),
        event_type=_expressions(entry.get("event_type", ())),
    )


def _expressions(listed: Iterable[str]) -> tuple[str, ...]:
    for text in listed:
        compile_expression(text)
    return tuple(listed)


def _only_scheme(schemes: Mapping[str, Any]) -> str:
    if len(schemes) != 1:
        raise ValueError("needs `scheme`, the default one of several")
    return next(iter(schemes))


def _build(table: Mapping[str, Any]) -> Scheme:
    parameters = dict(table)
    family = FAMILIES[parameters.pop("family")]
    for known in fields(family):
        if known.default is MISSING and known.default_factory is MISSING and known.name not in parameters:
            raise SchemeError(known.name, "is needed")
    for name, convert in _CONVERTERS.items():
        if name in parameters:
            try:
                parameters[name] = convert(parameters[name])
            except ValueError as error:
                raise SchemeError(name, str(error)) from None
    arguments: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in parameters.items()
    }
    return family(**arguments)
