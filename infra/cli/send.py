"""``hookline send``: sign a sample event as its provider would, send it, show the answer.

HooklineError
└── SendError    nobody answers at that address
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import click
import httpx

from infra.cli.dev_state import environment_here, secret_variable
from infra.cli.tables import counted, json_text, printable
from infra.clock import Clock, SystemClock
from infra.errors import HooklineError
from infra.settings import Settings
from infra.signatures import Scheme, SchemeError, providers
from infra.signatures.samples import signed_sample, type_header
from ingest.sources import Sources, load_sources

_WAIT_SECONDS = 60
_PATIENCE_SECONDS = 15.0


class SendError(HooklineError):
    """Nobody answers at that address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Who the events come from: a source of ours, or a provider as it is.

    Args:
        keys: newest first.
    """

    provider: str
    scheme: Scheme = field(repr=False)
    keys: tuple[bytes, ...] = field(repr=False)

    @classmethod
    def of(cls, name: str, sources: Sources, *, secret: str | None) -> "Sender":
        """The source of that name, else the provider.

        Args:
            secret: instead of the source's own.

        Raises:
            click.UsageError: there is neither, no secret, or one that the scheme can't use.
        """
        source = sources.get(name)
        scheme = _preset(name, sources) if source is None else source.scheme
        if secret is not None:
            keys: tuple[bytes, ...] = (_key(scheme, secret),)
        elif source is not None and (source.secrets or not source.scheme.needs_secret):
            keys = source.secrets
        elif not scheme.needs_secret:
            keys = ()
        else:
            raise click.UsageError(f"no secret for {name}: give --secret, or set {secret_variable(name)}")
        return cls(provider=name if source is None else source.provider, scheme=scheme, keys=keys)

    def request(
        self,
        url: str,
        *,
        signed_url: str,
        type: str | None = None,  # noqa: A002 - the contract's word
        body: bytes | None = None,
        clock: Clock,
    ) -> httpx.Request:
        """A new event, signed.

        Args:
            signed_url: the address as the receiver knows it, for schemes that sign it.
            type, body: as in `infra.signatures.samples.sample`.

        Raises:
            click.UsageError: the secret can only verify, or the body has not the shape that is signed.
        """
        try:
            made = signed_sample(
                self.provider, self.scheme, self.keys, url=signed_url, type=type, body=body, now=clock.now()
            )
        except ValueError as error:
            raise click.UsageError(f"can't be signed as {self.provider} does: {error}") from None
        return httpx.Request("POST", url + made.query, content=made.body, headers=list(made.headers))


@click.command(name="send")
@click.argument("provider")
@click.option("--url", help="Where to; by default http://127.0.0.1:$PORT/hooks/PROVIDER.")
@click.option("--secret", help="Sign with it; by default with the source's own.")
@click.option(
    "--type", "type_", metavar="TEXT", help="The event's type; by default the provider's commonest."
)
@click.option(
    "--body",
    "file",
    metavar="FILE",
    type=click.File("rb"),
    help="Send this instead of a sample; - reads it here.",
)
@click.option(
    "--count", default=1, show_default=True, type=click.IntRange(1, 100_000), help="So many events."
)
@click.option("--wait", is_flag=True, help="Wait for each job's end, a minute at the most, and show the job.")
def command(
    provider: str,
    url: str | None,
    secret: str | None,
    type_: str | None,
    file: BinaryIO | None,
    count: int,
    wait: bool,
) -> None:
    """Sign a sample event as PROVIDER would, and send it.

    PROVIDER is a source of yours, or a provider by name. Exit code 1: an answer was not 2xx.
    """
    settings = Settings.load(environment_here())
    sender = Sender.of(provider, load_sources(settings, environment_here()), secret=secret)
    if file is not None and type_ is not None and type_header(sender.provider) is None:
        raise click.UsageError("--type has no place beside --body: the type stands in the body")
    url = url or f"http://127.0.0.1:{settings.port}/hooks/{provider}"
    path = _checked_url(url).raw_path.decode("ascii")
    signed_url = f"{settings.public_url}{path}" if settings.public_url else url
    body = None if file is None else file.read()
    clock = SystemClock()
    requests = (
        sender.request(url, signed_url=signed_url, type=type_, body=body, clock=clock) for _ in range(count)
    )
    accepted = 0
    with httpx.Client(trust_env=False, timeout=_PATIENCE_SECONDS + (_WAIT_SECONDS if wait else 0)) as client:
        for answer in answers(client, requests, wait=wait):
            click.echo(told(answer))
            if wait or count == 1:
                click.echo(_content(answer))
            accepted += answer.is_success
    if count > 1:
        click.echo(f"{counted(count, 'event')} sent, {accepted:,} accepted")
    if accepted < count:
        raise click.exceptions.Exit(1)


def answers(
    client: httpx.Client, requests: Iterable[httpx.Request], *, wait: bool
) -> Iterator[httpx.Response]:
    """Send one after another.

    Raises:
        SendError: nobody answers.
    """
    for request in requests:
        if wait:
            request.headers["Prefer"] = f"wait={_WAIT_SECONDS}"
        try:
            yield client.send(request)
        except httpx.HTTPError as error:
            raise SendError(f"{request.url} does not answer: {type(error).__name__}") from error


def told(answer: httpx.Response) -> str:
    """An answer in one line: its status, then what it says of the job, or why not.

    >>> told(httpx.Response(202, json={"status": "queued", "job_id": "job_1", "event_id": "evt_1", "duplicate": False}))
    '202 queued job_1 evt_1'
    >>> told(httpx.Response(401, json={"code": "signature_invalid", "title": "The signature does not hold."}))
    '401 signature_invalid: The signature does not hold.'
    """
    said = _json(answer)
    if not answer.is_success:
        reason = f"{said.get('code', '')}: {said.get('title', '')}" if said else answer.reason_phrase
        return printable(f"{answer.status_code} {reason}")
    words = [said.get("status"), said.get("job_id") or said.get("id"), said.get("event_id")]
    duplicate = " (a duplicate: nothing runs twice)" if said.get("duplicate") else ""
    return printable(" ".join([str(answer.status_code), *(str(word) for word in words if word)]) + duplicate)


def _content(answer: httpx.Response) -> str:
    said = _json(answer)
    return json_text(said) if said else printable(answer.text[:2000])


def _json(answer: httpx.Response) -> dict[str, Any]:
    try:
        said = answer.json()
    except ValueError:
        said = None
    return said if isinstance(said, dict) else {}


def _preset(name: str, sources: Sources) -> Scheme:
    """A provider's scheme, where no source of ours says more."""
    provider = providers().get(name)
    if provider is None:
        known = ", ".join(sorted({*sources.by_name, *providers()}))
        raise click.BadParameter(f"needs a source or a provider: {known}", param_hint="PROVIDER")
    try:
        return provider.build_scheme()
    except SchemeError as error:
        message = f"{name} leaves its {error.parameter} to a source: write one, and send as that"
        raise click.BadParameter(message, param_hint="PROVIDER") from None


def _key(scheme: Scheme, secret: str) -> bytes:
    try:
        return scheme.key(secret)
    except SchemeError as error:
        raise click.BadParameter(str(error), param_hint="--secret") from None


def _checked_url(url: str) -> httpx.URL:
    try:
        parts = httpx.URL(url)
    except httpx.InvalidURL:
        parts = httpx.URL("")
    if parts.scheme not in ("http", "https") or not parts.host:
        raise click.BadParameter("needs an address that starts with http:// or https://", param_hint="--url")
    return parts
