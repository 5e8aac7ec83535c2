"""The senders we trust: what `sources.toml` and the ``SOURCE_<NAME>_<KEY>`` variables mean, checked at start.

Every fault stops the start with one line that names the variable, or the file, table and key; never a value. A source that is
declared and whose secret is not set exists and refuses everything.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, TypeVar

from infra.expressions import Document, Expression, Location, compile_expression, first_of
from infra.ledger.records import AS_USUAL, CallbackFormat, CallbackOptions
from infra.rates import Rate, parse_rate
from infra.routes import API_SOURCE, DEFAULT_QUEUE, SCHEDULE_SOURCE
from infra.setting_values import parse_size
from infra.settings import Settings, SettingsError
from infra.signatures import Provider, Scheme, SchemeError, SignedRequest, providers, whsec_key
from ingest.handshakes import Handshakes, handshakes_of
from ingest.source_table import LISTS, PARAMETERS, TABLES, ReadFile, Row, read_rows

DEFAULT_EVENT_TYPE = "event"

_RESERVED = {API_SOURCE: "POST /jobs", SCHEDULE_SOURCE: "recurring handlers"}
_QUEUE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}", re.ASCII)
_LONGEST_TAG = 128
_LEAST_CALLBACK, _MOST_CALLBACK = 1 << 10, 5 << 20
_IDEMPOTENCY_KEY = "header:Idempotency-Key"

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A sender we trust by a secret.

    Args:
        provider: the name of the preset it was made from.
        secrets: the scheme's keys, newest first; empty: everything is refused.
        max_body: in bytes.
        rate: how many requests are taken; None: all.
        body: ``json``: always strict JSON; ``any``: only where the content type says JSON.
        event_id: the provider's id of an event; `identify` says what deduplication goes by.
        wait_key: what handlers wait for an event by, besides its id.
        spread_by: what keeps events together on one shard, instead of spreading them by their ids.
        callback_url: where to read it; only from what the scheme covers, which is checked when the table is loaded.
        callback_secrets: ``whsec_…``, newest first; empty: those of ``HOOKLINE_CALLBACK_SECRET`` sign.
        handshakes: what the provider asks beside its events; None: nothing.
        batch: where the list stands in bodies of several events (`ingest.batches`). Expressions read one of them.
    """

    name: str
    provider: str
    scheme: Scheme = field(repr=False)
    secrets: tuple[bytes, ...] = field(repr=False)
    queue: str
    max_body: int
    body: Literal["json", "any"]
    rate: Rate | None = None
    event_id: Expression | None = None
    event_type: Expression | None = None
    wait_key: Expression | None = None
    spread_by: Expression | None = None
    callback_url: Expression | None = field(default=None, repr=False)
    callback_secrets: tuple[str, ...] = field(default=(), repr=False)
    callback_options: CallbackOptions = AS_USUAL
    tag: str | None = None
    handshakes: Handshakes | None = None
    batch: str | None = None

    def verify(self, request: SignedRequest, now: datetime, published: bytes | None = None) -> None:
        """Return if a secret of this source vouches for the request.

        Args:
            published: the sender's keys, where the scheme needs them (`infra.signatures.PublishedKeys`).

        Raises:
            SignatureError: in every other case, whatever was sent.
        """
        self.scheme.verify(request, self.secrets, now, published)

    def must_be_json(self, content_type: str) -> bool:
        """Whether a body that isn't strict JSON is refused."""
        return self.body == "json" or _says_json(content_type)

    def identify(self, request: SignedRequest, document: Document, *, place: int | None = None) -> str | None:
        """What deduplication goes by: the provider's id, else a hash of the signed content, else None.

        For a request that `verify` let through.

        Args:
            place: of the event in a body of several, which were signed together.
        """
        found = None if self.event_id is None else self.event_id.evaluate(document)
        if found is not None:
            return found
        content = self.scheme.signed_content(request)
        if content is None:
            return None
        return f"sha256:{sha256(content).hexdigest()}{'' if place is None else f':{place}'}"

    def type_of(self, document: Document) -> str:
        """The event's type, by which handlers are chosen; `DEFAULT_EVENT_TYPE` where none is there."""
        found = None if self.event_type is None else self.event_type.evaluate(document)
        return DEFAULT_EVENT_TYPE if found is None else found


@dataclass(frozen=True, slots=True)
class Sources:
    """The table of sources.

    Args:
        ignored: variables that read like a source's key and name no source that exists, for a warning.
    """

    by_name: Mapping[str, Source]
    ignored: tuple[str, ...] = ()

    def get(self, name: str) -> Source | None:
        """The source of that name."""
        return self.by_name.get(name)

    def __iter__(self) -> Iterator[Source]:
        return iter(self.by_name.values())

    @property
    def without_secret(self) -> tuple[str, ...]:
        """The names of those that refuse everything, for want of a secret."""
        return tuple(source.name for source in self if source.scheme.needs_secret and not source.secrets)

    @property
    def callback_secrets(self) -> Mapping[str, tuple[str, ...]]:
        """The secrets of those that have their own to sign callbacks with, by name."""
        return {source.name: source.callback_secrets for source in self if source.callback_secrets}

    def outlasting(self, window: timedelta) -> tuple[str, ...]:
        """The names of those that take a signature for longer than its id is remembered: an old request is new again.

        Args:
            window: of deduplication.
        """
        return tuple(source.name for source in self if _tolerance(source.scheme) > window)

    @property
    def open_to_secrets(self) -> tuple[str, ...]:
        """The names of those to which a provider may bring a secret now."""
        return tuple(
            source.name for source in self if source.handshakes is not None and source.handshakes.open
        )


@lru_cache(maxsize=64)
def _says_json(content_type: str) -> bool:
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type == "application/json" or media_type.endswith("+json")


def _tolerance(scheme: Scheme) -> timedelta:
    """How far a signed moment may be from our clock, whichever way is the longer."""
    if not scheme.has_timestamp:
        return timedelta(0)
    ways = (getattr(scheme, "tolerance", None), getattr(scheme, "tolerance_future", None))
    return max((way for way in ways if way is not None), default=timedelta(0))


def read_text(path: str) -> str:
    """A file's text."""
    return Path(path).read_text(encoding="utf-8")


def load_sources(
    settings: Settings, environ: Mapping[str, str], *, read_file: ReadFile = read_text
) -> Sources:
    """Merge the sources' file with the environment, and check all of it.

    Args:
        settings: names the file, which may be missing, and what holds where a source says nothing.
        environ: the variables; passed in, never taken.
        read_file: gives the text of the sources' file, and of a ``file:PATH`` secret.

    Raises:
        SettingsError: one line that names the first wrong variable or key, never its value.

    >>> sources = load_sources(Settings.load({}), {"SOURCE_FIREFLIES_SECRET": "s3cret"}, read_file=lambda _: "")
    >>> [(source.name, source.provider, source.queue) for source in sources]
    [('fireflies', 'fireflies', 'default')]
    """
    rows, ignored = read_rows(settings.sources_file, environ, read_file)
    return Sources({name: _build(row, settings, environ, read_file) for name, row in rows.items()}, ignored)


def _build(row: Row, settings: Settings, environ: Mapping[str, str], read_file: ReadFile) -> Source:
    if row.name in _RESERVED:
        raise SettingsError(f"{row.where}: the name {row.name} is reserved, for {_RESERVED[row.name]}")
    provider = _provider(row)
    scheme = _scheme(row, provider)
    if scheme.needs_url and settings.public_url is None:
        raise row.fault("signed", "has {url}, so HOOKLINE_PUBLIC_URL is needed")
    secrets = row.secrets("secret", environ, read_file)
    callback_secrets = row.secrets("callback_secret", environ, read_file)
    for secret in callback_secrets:
        _checked(row, "callback_secret", whsec_key, secret)
    keys = tuple(_checked(row, "secret", scheme.key, secret) for secret in secrets)
    max_body, rate = row.text("max_body"), row.text("rate")
    return Source(
        name=row.name,
        provider=provider.name,
        scheme=scheme,
        secrets=keys,
        queue=_matching(row, "queue", _QUEUE) or DEFAULT_QUEUE,
        max_body=settings.max_body if max_body is None else _checked(row, "max_body", parse_size, max_body),
        rate=None if rate is None else _checked(row, "rate", parse_rate, rate),
        body="json" if _reads_json(row) else provider.body,
        event_id=_event_id(row, provider, scheme),
        event_type=_expression(row, "event_type", _of_one(provider, "event_type")),
        wait_key=_varying(row, "wait_key", ()),
        spread_by=_expression(row, "spread_by", ()),
        callback_url=_callback_url(row, scheme),
        callback_secrets=callback_secrets,
        callback_options=_callback_options(row),
        tag=_tag(row),
        handshakes=handshakes_of(row, provider, keys, row.secrets("verify_token", environ, read_file)),
        batch=None if provider.batch is None else provider.batch.items,
    )


def _provider(row: Row) -> Provider:
    name = row.text("provider") or row.name
    provider = providers().get(name)
    if provider is None:
        raise row.fault("provider", f"needs one of: {', '.join(sorted(providers()))}")
    return provider


def _scheme(row: Row, provider: Provider) -> Scheme:
    given: dict[str, Any] = {key: row.text(key) for key in PARAMETERS}
    given |= {key: row.texts(key) or None for key in LISTS} | {key: row.table(key) for key in TABLES}
    parameters = {key: value for key, value in given.items() if value is not None}
    try:
        return provider.build_scheme(row.text("scheme"), parameters)
    except SchemeError as error:
        raise row.fault(error.parameter, str(error)) from None


def _event_id(row: Row, provider: Provider, scheme: Scheme) -> Expression | None:
    """A static key vouches for the headers too, so there an Idempotency-Key counts when nothing else is there.

    Not where one request may bring several events.
    """
    expression = _varying(row, "event_id", _of_one(provider, "event_id"))
    if provider.batch is not None:
        if any("json" not in compile_expression(text).locations for text in row.texts("event_id")):
            raise row.fault("event_id", "is the same for every event of a body; it needs json:$.path")
        return expression
    if scheme.covers != "request":
        return expression
    fallback = compile_expression(_IDEMPOTENCY_KEY)
    return fallback if expression is None else first_of([expression, fallback])


def _of_one(provider: Provider, key: Literal["event_id", "event_type"]) -> tuple[str, ...]:
    """Where the provider's id or type stands: in one of several events, or in a body that is the event."""
    of_body: tuple[str, ...] = getattr(provider, key)
    return of_body if provider.batch is None else (*getattr(provider.batch, key), *of_body)


def _callback_url(row: Row, scheme: Scheme) -> Expression | None:
    """A literal is the operator's own; the rest is taken only from what the secret vouches for."""
    expression = _expression(row, "callback_url", ())
    if expression is None:
        return None
    if not expression.locations:
        if not (row.text("callback_url") or "").startswith(("https://", "http://")):
            raise row.fault("callback_url", "needs a URL, or json:$.path")
    elif "header" in expression.locations and scheme.covers != "request":
        raise row.fault(
            "callback_url", f"is read from a header, and the signature covers the {scheme.covers}"
        )
    elif scheme.covers not in ("body", "request"):
        raise row.fault("callback_url", f"is read from the body, and the signature covers {scheme.covers}")
    return expression


def _callback_options(row: Row) -> CallbackOptions:
    events = [event.strip() for text in row.texts("callback_events") for event in text.split(",")]
    if set(events) - {"progress"}:
        raise row.fault("callback_events", "needs progress: how a job ends is told in any case")
    wanted = row.text("callback_format") or CallbackFormat.HOOKLINE
    if wanted not in set(CallbackFormat):
        raise row.fault("callback_format", f"needs one of: {', '.join(CallbackFormat)}")
    most = row.text("callback_max_body")
    max_body = None if most is None else _checked(row, "callback_max_body", parse_size, most)
    if max_body is not None and not _LEAST_CALLBACK <= max_body <= _MOST_CALLBACK:
        raise row.fault("callback_max_body", "needs 1KiB to 5MiB")
    return CallbackOptions(format=CallbackFormat(wanted), progress=bool(events), max_body=max_body)


def _reads_json(row: Row) -> bool:
    """Whether the operator expects JSON, by an expression of their own, and forms by none."""
    keys = ("event_id", "event_type", "wait_key", "spread_by", "callback_url")
    expressions = [found for key in keys if (found := _expression(row, key, ())) is not None]
    locations = frozenset[Location]().union(*(expression.locations for expression in expressions))
    return "json" in locations and "form" not in locations


def _expression(row: Row, key: str, default: tuple[str, ...]) -> Expression | None:
    texts = row.texts(key) or default
    return first_of([_checked(row, key, compile_expression, text) for text in texts]) if texts else None


def _varying(row: Row, key: str, default: tuple[str, ...]) -> Expression | None:
    expression = _expression(row, key, default)
    if expression is not None and not expression.locations:
        raise row.fault(key, "is the same for every event")
    return expression


def _tag(row: Row) -> str | None:
    tag = row.text("tag")
    if tag is not None and (len(tag) > _LONGEST_TAG or not tag.isprintable()):
        raise row.fault("tag", f"needs at most {_LONGEST_TAG} printable characters")
    return tag


def _matching(row: Row, key: str, pattern: re.Pattern[str]) -> str | None:
    text = row.text(key)
    if text is not None and not pattern.fullmatch(text):
        raise row.fault(key, "needs letters, digits, - and _ only")
    return text


def _checked(row: Row, key: str, read: Callable[[str], _T], text: str) -> _T:
    try:
        return read(text)
    except ValueError as error:
        raise row.fault(key, str(error)) from None
