"""The provider table, read from ``providers.toml`` beside this file.

A provider is data: a family of signatures with its parameters, and where its events' id and type stand. Adding
one is an entry there and a vector in ``tests/data/signature_vectors.json``; adding a family is a module here and a line in
`FAMILIES`.
"""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any, Literal

from infra.durations import parse_duration
from infra.expressions import compile_expression
from infra.signatures.errors import SchemeError
from infra.signatures.hmac_template import HmacTemplate
from infra.signatures.scheme import Scheme
from infra.signatures.static import StaticKey

FAMILIES: Mapping[str, type[HmacTemplate] | type[StaticKey]] = {"hmac": HmacTemplate, "static": StaticKey}

_CONVERTERS: Mapping[str, Callable[[Any], Any]] = {
    "tolerance": parse_duration,
    "tolerance_future": parse_duration,
    "versions": tuple,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """How a sender signs, names and identifies its events.

    Args:
        name: its key in the table, and the default name of its source.
        sources: where the facts were read.
        body: ``json``: always JSON; ``any``: JSON only by content type, or where an expression reads it.
        schemes: by name, a family and its parameters.
        scheme: the name of the default scheme.
        parameters: those that a source spells out itself.
        event_id, event_type: expressions; the first that is there counts.
    """

    name: str
    title: str
    sources: tuple[str, ...]
    body: Literal["json", "any"]
    schemes: Mapping[str, Mapping[str, Any]] = field(repr=False)
    scheme: str
    parameters: frozenset[str] = frozenset()
    event_id: tuple[str, ...] = ()
    event_type: tuple[str, ...] = ()

    def build_scheme(self, name: str | None = None, parameters: Mapping[str, str] | None = None) -> Scheme:
        """The scheme with its parameters, checked.

        Args:
            name: which one; the default one when None.
            parameters: what the source spells out; ``tolerance`` is allowed wherever a timestamp is signed.

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
    """Every provider by name; the file is read once.

    >>> sorted(providers())
    ['bearer', 'fireflies', 'github', 'hmac', 'make', 'standard-webhooks', 'static']
    """
    text = Path(__file__).with_name("providers.toml").read_text(encoding="utf-8")
    return read_providers(tomllib.loads(text))


def read_providers(table: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Provider]:
    """Check a table as ``providers.toml`` has it.

    Raises:
        ValueError: an entry that can't be used, with its name.
    """
    return {name: _read_provider(name, entry) for name, entry in table.items()}


def _read_provider(name: str, entry: Mapping[str, Any]) -> Provider:
    unknown = sorted(set(entry) - {known.name for known in fields(Provider)})
    if unknown:
        raise ValueError(f"provider {name}: {unknown[0]} is not a key of a provider")
    try:
        provider = Provider(
            name=name,
            title=entry["title"],
            sources=tuple(entry["sources"]),
            body=entry["body"],
            schemes=entry["schemes"],
            scheme=entry.get("scheme") or _only_scheme(entry["schemes"]),
            parameters=frozenset(entry.get("parameters", ())),
            event_id=tuple(entry.get("event_id", ())),
            event_type=tuple(entry.get("event_type", ())),
        )
        for text in (*provider.event_id, *provider.event_type):
            compile_expression(text)
        if not provider.parameters:
            for scheme in provider.schemes:
                provider.build_scheme(scheme)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"provider {name}: {error}") from error
    return provider


def _only_scheme(schemes: Mapping[str, Any]) -> str:
    if len(schemes) != 1:
        raise ValueError("needs `scheme`, the default one of several")
    return next(iter(schemes))


def _build(table: Mapping[str, Any]) -> Scheme:
    parameters = dict(table)
    family = FAMILIES[parameters.pop("family")]
    for known in fields(family):
        if known.default is MISSING and known.name not in parameters:
            raise SchemeError(known.name, "is needed")
    for name, convert in _CONVERTERS.items():
        if name in parameters:
            try:
                parameters[name] = convert(parameters[name])
            except ValueError as error:
                raise SchemeError(name, str(error)) from None
    return family(**parameters)
