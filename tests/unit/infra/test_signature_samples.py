"""The sample events of `hookline send`: each is accepted as its provider's, and each is a new one."""

from datetime import UTC, datetime

import click
import pytest

from infra.cli.send import Sender
from infra.clock import ManualClock
from infra.expressions import Document, compile_expression, first_of
from infra.ids import new_suffix
from infra.settings import Settings
from infra.signatures import Headers, SignedRequest, providers
from infra.signatures.samples import sample
from ingest.sources import Source, Sources, load_sources
from tests.unit.infra.signature_cases import CASES, Case, each

NOW = datetime(2026, 11, 21, 20, 41, 11, tzinfo=UTC)
URL = "http://127.0.0.1:8000/hooks/some"
TABLE = """
[fireflies]
[github]
[make]
[standard-webhooks]
[make-hmac]
provider = "make"
scheme = "hmac"
[billing]
provider = "standard-webhooks"
[bearer]
event_type = "json:$.type"
[intranet]
provider = "static"
header = "X-Api-Key"
[acme]
provider = "hmac"
header = "X-Acme-Signature"
signed = "{method} {url} {id} {timestamp}.{body}"
timestamp_header = "X-Acme-Timestamp"
id_header = "X-Acme-Id"
event_type = "json:$.type"
[mail-routes]
provider = "mailgun"
scheme = "form"
"""


def sources() -> Sources:
    environ = {"HOOKLINE_PUBLIC_URL": "http://127.0.0.1:8000"}
    names = [line[1:-1] for line in TABLE.splitlines() if line.startswith("[")]
    for name in names:
        environ[f"SOURCE_{name.upper().replace('-', '_')}_SECRET"] = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    return load_sources(Settings.load(environ), environ, read_file=lambda _: TABLE)


def request_of(source: Source, type_: str | None = None, body: bytes | None = None) -> SignedRequest:
    """What the source would see of a sample that is sent as its own."""
    sender = Sender.of(source.name, sources(), secret=None)
    sent = sender.request(URL, signed_url=URL, type=type_, body=body, clock=ManualClock(NOW))
    return SignedRequest(url=URL, headers=Headers.of(dict(sent.headers)), body=sent.content)


@pytest.mark.parametrize("source", list(sources()), ids=lambda source: source.name)
def test_a_sample_is_verified_and_new(source: Source) -> None:
    first, second = request_of(source), request_of(source)

    source.verify(first, NOW)
    source.verify(second, NOW)
    first_id, second_id = (
        source.identify(each, Document(headers=each.headers, body=each.body)) for each in (first, second)
    )
    assert first_id != second_id or first_id is None
    assert first.body != second.body or source.provider == "github"


@pytest.mark.parametrize(
    ("name", "type_", "expected"),
    [
        ("fireflies", None, "meeting.summarized"),
        ("fireflies", "meeting.transcribed", "meeting.transcribed"),
        ("fireflies", "Transcription completed", "Transcription completed"),
        ("github", None, "ping"),
        ("github", "push", "push"),
        ("make", None, "sample"),
        ("make-hmac", "row.added", "row.added"),
        ("billing", None, "sample.created"),
        ("billing", "invoice.paid", "invoice.paid"),
        ("acme", "order.paid", "order.paid"),
        ("mail-routes", "opened & read", "opened & read"),
    ],
)
def test_a_sample_has_the_type_that_was_asked_for(name: str, type_: str | None, expected: str) -> None:
    source = sources().by_name[name]
    request = request_of(source, type_)
    assert source.type_of(Document(headers=request.headers, body=request.body)) == expected


def test_a_body_is_sent_as_it_is_under_a_new_delivery() -> None:
    source = sources().by_name["github"]
    first, second = (request_of(source, "push", b'{"ref":  "x"}') for _ in range(2))
    assert first.body == second.body == b'{"ref":  "x"}'
    assert first.headers.get("X-GitHub-Event") == "push"
    assert first.headers.get("X-GitHub-Delivery") != second.headers.get("X-GitHub-Delivery")


@each(CASES)
def test_every_provider_has_a_sample_that_its_own_verification_takes(case: Case) -> None:
    provider, scheme = providers()[case.provider], case.scheme
    sender = Sender(provider=case.provider, scheme=scheme, keys=tuple(case.keys()))
    ids, types = set(), set()
    for _ in range(2):
        sent = sender.request(URL, signed_url=URL, clock=ManualClock(NOW))
        request = SignedRequest(
            url=str(sent.url), query=sent.url.query, headers=Headers.of(dict(sent.headers)), body=sent.content
        )
        scheme.verify(request, case.keys(), NOW)
        document = Document(headers=request.headers, body=request.body)
        if provider.body == "json":
            assert document.json
        assert len(request.body) < 1024
        ids.add(read(provider.event_id, document) or scheme.signed_content(request) or request.body)
        types.add(read(provider.event_type, document))
    assert len(ids) == 2
    assert (types != {None}) == bool(provider.event_type)


@each([case for case in CASES if providers()[case.provider].event_type and case.provider != "aws-sns"])
def test_a_sample_of_any_type_says_so(case: Case) -> None:
    made = sample(case.provider, type='a."b"', form=case.scheme.form, now=NOW, suffix=new_suffix())
    document = Document(headers=Headers.of(made.headers), body=made.body)
    assert read(providers()[case.provider].event_type, document) == 'a."b"'


def test_a_secret_that_can_only_verify_is_refused_with_words() -> None:
    scheme = providers()["discord"].build_scheme()
    public = scheme.key("89cd7489bf665a36667ba46dfd521ca6713fd2f9ad842835340b244e98355f2a")
    with pytest.raises(click.UsageError, match="needs the private key"):
        Sender(provider="discord", scheme=scheme, keys=(public,)).request(
            URL, signed_url=URL, clock=ManualClock(NOW)
        )


def read(texts: tuple[str, ...], document: Document) -> str | None:
    return first_of([compile_expression(text) for text in texts]).evaluate(document) if texts else None


@pytest.mark.parametrize("secret", ["other", "schlüssel"])
def test_a_secret_of_the_call_wins_over_the_source(secret: str) -> None:
    request = Sender.of("intranet", sources(), secret=secret).request(
        URL, signed_url=URL, clock=ManualClock(NOW)
    )
    assert (b"X-Api-Key", secret.encode()) in request.headers.raw
