"""Every provider of the table: what is signed verifies, what is changed does not, and whatever a stranger sends is one error."""

import base64
import json
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from infra.signatures import (
    Headers,
    SchemeError,
    SecretMissing,
    SignatureError,
    SignatureMalformed,
    Signed,
    SignedRequest,
    TimestampOutOfTolerance,
    providers,
)
from infra.signatures.request_fields import FIELDS
from tests.unit.infra.signature_cases import CASES, GENERIC, NOW, SIGNED_CASES, URL, Case, each, sample_body

UNSIGNED = "none"


def received(sent: Signed, *, drop: str | None = None) -> SignedRequest:
    headers = {name: value for name, value in sent.headers.items() if name != drop}
    url = sent.url or URL
    content_type = {"Content-Type": "application/json"}
    return SignedRequest(
        url=url,
        query=url.partition("?")[2].encode(),
        headers=Headers.of(content_type | headers),
        body=sent.body,
    )


HEADER_CASES = [case for case in SIGNED_CASES if case.send().headers]
BODY_CASES = [case for case in SIGNED_CASES if case.scheme.covers == "body"]
TIMED = [
    case for case in SIGNED_CASES if case.scheme.has_timestamp and not case.parameters.get("timestamp_json")
]


def test_all_88_providers_are_there_besides_the_generic_ones() -> None:
    assert len(set(providers()) - GENERIC) == 88


@each(SIGNED_CASES)
def test_what_is_signed_verifies_and_every_secret_of_a_rotation_counts(case: Case) -> None:
    case.scheme.verify(received(case.send()), case.keys(), NOW)
    case.scheme.verify(received(case.send()), [*case.keys(1), *case.keys()], NOW)


@each(SIGNED_CASES)
def test_another_secret_is_refused_and_so_is_none(case: Case) -> None:
    request = received(case.send(generation=1))
    with pytest.raises(SignatureError):
        case.scheme.verify(request, case.keys(), NOW)
    with pytest.raises(SecretMissing):
        case.scheme.verify(request, [], NOW)


@each(SIGNED_CASES)
@pytest.mark.parametrize("secret", ["", " ", "\n"])
def test_an_empty_secret_is_refused_at_start(case: Case, secret: str) -> None:
    with pytest.raises(SchemeError):
        case.scheme.key(secret)


@each(BODY_CASES)
def test_a_changed_byte_of_the_body_is_refused(case: Case) -> None:
    """A009."""
    sent = case.send()
    changed = replace(sent, body=sent.body.replace(b"row.added", b"row.addee"))
    assert changed.body != sent.body
    with pytest.raises(SignatureError):
        case.scheme.verify(received(changed), case.keys(), NOW)


@each(HEADER_CASES)
def test_a_header_that_is_missing_or_sent_twice_is_refused(case: Case) -> None:
    """A015."""
    sent = case.send()
    for name, value in sent.headers.items():
        with pytest.raises(SignatureError):
            case.scheme.verify(received(sent, drop=name), case.keys(), NOW)
        pairs = [(key.lower().encode(), text.encode()) for key, text in sent.headers.items()]
        headers = Headers([*pairs, (name.lower().encode(), value.encode())])
        twice = structs.replace(received(sent), headers=headers)
        with pytest.raises(SignatureMalformed):
            case.scheme.verify(twice, case.keys(), NOW)


@each(HEADER_CASES)
@settings(max_examples=15)
@given(position=st.integers(0, 400), flip=st.integers(1, 127))
def test_a_changed_byte_of_a_header_is_refused(case: Case, position: int, flip: int) -> None:
    sent = case.send()
    for name, value in sent.headers.items():
        changed = bytearray(value.encode())
        changed[position % len(changed)] ^= flip
        if bytes(changed).lower() == value.lower().encode():
            continue  # the case of hex digits, and of the word Bearer, doesn't count
        headers = Headers(
            (key.lower().encode(), bytes(changed) if key == name else text.encode())
            for key, text in sent.headers.items()
        )
        with pytest.raises(SignatureError):
            case.scheme.verify(structs.replace(received(sent), headers=headers), case.keys(), NOW)


@each(TIMED)
def test_what_is_too_old_is_refused(case: Case) -> None:
    sent = case.send(at=NOW - timedelta(hours=2))
    with pytest.raises(TimestampOutOfTolerance):
        case.scheme.verify(received(sent), case.keys(), NOW)


@each(TIMED)
def test_what_is_far_ahead_is_refused(case: Case) -> None:
    sent = case.send(at=NOW + timedelta(days=2))
    with pytest.raises(TimestampOutOfTolerance):
        case.scheme.verify(received(sent), case.keys(), NOW)


@each(SIGNED_CASES)
def test_the_signed_content_is_the_same_for_the_same_request_only(case: Case) -> None:
    first, again = received(case.send()), received(case.send())
    content = case.scheme.signed_content(first)
    assert content == case.scheme.signed_content(again)
    if content is not None and case.scheme.covers == "body":
        other = received(case.send(sample_body(case).replace(b"row.added", b"row.other")))
        assert case.scheme.signed_content(other) != content


def test_every_scheme_says_what_it_covers() -> None:
    covers = {(case.provider, case.name): case.scheme.covers for case in CASES}
    assert covers["github", "hmac"] == covers["plaid", "production"] == covers["sendgrid", "ecdsa"] == "body"
    assert covers["adyen", "item"] == covers["aws-sns", "sns"] == covers["twilio", "auth-token"] == "fields"
    assert covers["postmark", "basic"] == covers["railway", "url-secret"] == "request"
    nothing = {pair for pair, said in covers.items() if said == "nothing" and pair[1] != UNSIGNED}
    assert nothing == {
        ("mailgun", "form"),
        ("google-pubsub", "oidc"),
        ("mailgun", "token"),
        ("monday", "jwt"),
        ("paypal", "certificate"),  # of the body it holds a CRC-32, which can be made to fit another one
    }


def test_twilio_signs_a_form_by_its_fields_and_any_other_body_by_its_hash() -> None:
    case = Case("twilio", "auth-token")
    form = b"MessageSid=SM1&Body=caf%C3%A9&Body=tea&Body=tea"
    request = SignedRequest(
        url=URL, headers=Headers.of({"Content-Type": "application/x-www-form-urlencoded"}), body=form
    )
    assert FIELDS["form"](request) == "BodycaféBodyteaMessageSidSM1".encode()
    with pytest.raises(SignatureError):
        FIELDS["form"](structs.replace(request, headers=Headers()))
    sent = case.send(b"{}")
    assert (sent.url or "").startswith(f"{URL}?bodySHA256=")
    with pytest.raises(SignatureError):
        case.scheme.verify(received(replace(sent, body=b"[]")), case.keys(), NOW)


# Whatever a stranger sends, to any of them.

_NAMES = sorted(
    {name.lower().encode() for case in HEADER_CASES for name in case.send().headers}
    | {b"x-twilio-signature", b"x-twilio-webhooks-signature-settings", b"content-type", b"paypal-cert-url"}
)
_VALUES = st.one_of(
    st.binary(max_size=80),
    st.from_regex(rb"(sha256=|v0=|sha1=)?[0-9a-f]{40,66}", fullmatch=True),
    st.from_regex(rb"(t|ts|time|v)=[0-9]{10,13}[,;](v1|h1|v0|d|sig1)=[0-9a-f]{64}", fullmatch=True),
    st.from_regex(
        rb"(Bearer |Basic )?[A-Za-z0-9_=-]{0,40}\.[A-Za-z0-9_-]{0,60}\.[A-Za-z0-9_-]{0,20}", fullmatch=True
    ),
    st.from_regex(rb"[0-9]{1,18}", fullmatch=True),
    st.just(str(int(NOW.timestamp())).encode()),
    st.just(b"2026-11-21T20:41:11Z"),
    st.just(b"application/x-www-form-urlencoded"),
    st.just(b"https://api.paypal.com/v1/notifications/certs/CERT-1"),
    st.binary(max_size=24).map(
        lambda data: base64.urlsafe_b64encode(b'{"alg":"HS256"}') + b"." + data + b"."
    ),
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["signature", "timestamp", "token", "notificationItems", "NotificationRequestItem", "value", "clientState",
             "additionalData", "hmacSignature", "Type", "TopicArn", "SigningCertURL", "Signature", "SignatureVersion"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip
_BODIES = st.binary(max_size=60) | _JSON.map(lambda said: json.dumps(said).encode("utf-8", "surrogatepass"))


@given(
    pairs=st.lists(st.tuples(st.sampled_from(_NAMES), _VALUES), max_size=10),
    body=_BODIES,
    query=st.binary(max_size=20) | st.just(b"token=x") | st.just(b"token=%ff&token="),
    published=st.none()
    | st.binary(max_size=40)
    | _JSON.map(lambda said: json.dumps(said).encode("utf-8", "replace")),
    url=st.none() | st.just(URL) | st.text(max_size=40),
)
def test_whatever_a_stranger_sends_to_any_provider_is_a_signature_error(
    pairs: list[tuple[bytes, bytes]], body: bytes, query: bytes, published: bytes | None, url: str | None
) -> None:
    request = SignedRequest(url=url, query=query, headers=Headers(pairs), body=body)
    for case in SIGNED_CASES:
        with suppress(SignatureError):
            case.scheme.wanted_keys(request, case.keys())
        with pytest.raises(SignatureError) as caught:
            case.scheme.verify(request, case.keys(), NOW, published)
        assert "secret-0" not in f"{caught.value} {caught.value.evidence}"
