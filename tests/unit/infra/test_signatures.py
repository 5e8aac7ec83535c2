"""Verifying and signing: the threats as one table, the official library as the oracle, and whatever a stranger sends."""

import hmac
import json
import re
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import standardwebhooks
from hypothesis import given
from hypothesis import strategies as st

from infra.signatures import (
    Headers,
    HmacTemplate,
    Scheme,
    SchemeError,
    SecretMissing,
    SignatureError,
    SignatureMalformed,
    SignatureMismatch,
    SignatureMissing,
    SignedRequest,
    StaticKey,
    TimestampOutOfTolerance,
    new_whsec,
    providers,
    standard_webhooks_headers,
    whsec_key,
)

NOW = datetime(2026, 11, 21, 20, 41, 11, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
ARABIC_DIGITS = str(SECONDS).translate({ord("0") + digit: 0x660 + digit for digit in range(10)})
BODY = b'{"type":"row.added","n":1}'
SECRET = "correct horse battery staple"
WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER_WHSEC = "whsec_YW5vdGhlci1zZWNyZXQtMjQtYnl0ZXMh"

GITHUB = providers()["github"].build_scheme()
MAKE_HMAC = providers()["make"].build_scheme("hmac")
STANDARD = providers()["standard-webhooks"].build_scheme()
BEARER = providers()["bearer"].build_scheme()
APIKEY = StaticKey(header="x-make-apikey")
SCHEMES = [GITHUB, MAKE_HMAC, STANDARD, BEARER, APIKEY, providers()["fireflies"].build_scheme()]

Pairs = list[tuple[bytes, bytes]]


def secret_for(scheme: Scheme) -> str:
    return WHSEC if scheme is STANDARD else SECRET


def verify(scheme: Scheme, pairs: Pairs, body: bytes = BODY, *, secrets: list[str] | None = None) -> None:
    keys = [scheme.key(secret) for secret in secrets or [secret_for(scheme)]]
    scheme.verify(SignedRequest(headers=Headers(pairs), body=body), keys, NOW)


def pairs_of(headers: dict[str, str]) -> Pairs:
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


def signed(
    scheme: Scheme, *, secret: str | None = None, body: bytes = BODY, at: datetime = NOW
) -> dict[str, str]:
    return scheme.sign(body, [scheme.key(secret or secret_for(scheme))], now=at, message_id="msg_1")


def hex_mac(content: bytes, *, key: bytes = SECRET.encode(), algorithm: str = "sha256") -> str:
    return hmac.digest(key, content, algorithm).hex()


def github(value: str | bytes) -> Pairs:
    return [(b"x-hub-signature-256", value.encode() if isinstance(value, str) else value)]


def make(timestamp: str) -> Pairs:
    """Make's convention with a correct MAC over that text as the timestamp."""
    mac = hex_mac(timestamp.encode() + b"." + BODY)
    return [(b"x-timestamp", timestamp.encode()), (b"x-signature", b"sha256=" + mac.encode())]


def standard(
    message_id: str, timestamp: str, *, body: bytes = BODY, version: str = "v1", signature: str = ""
) -> Pairs:
    """Standard Webhooks with a correct MAC over id, timestamp and body as given, unless a signature is given."""
    content = f"{message_id}.{timestamp}.".encode() + body
    mac = b64encode(hmac.digest(whsec_key(WHSEC), content, "sha256")).decode()
    return [
        (b"webhook-id", message_id.encode()),
        (b"webhook-timestamp", timestamp.encode()),
        (b"webhook-signature", (signature or f"{version},{mac}").encode("latin-1")),
    ]


GOOD = f"sha256={hex_mac(BODY)}"
BAD = f"sha256={'0' * 64}"


def replaced(pairs: Pairs, name: bytes, value: bytes) -> Pairs:
    return [(key, value if key == name else old) for key, old in pairs]


THREATS = [
    # nothing, or nothing of worth, is sent
    pytest.param(GITHUB, [], SignatureMissing, id="absent-github"),
    pytest.param(STANDARD, [], SignatureMissing, id="absent-standard"),
    pytest.param(APIKEY, [], SignatureMissing, id="absent-static"),
    pytest.param(GITHUB, github(""), SignatureMalformed, id="absent-empty"),
    pytest.param(APIKEY, [(b"x-make-apikey", b"")], SignatureMismatch, id="absent-static-empty"),
    pytest.param(STANDARD, standard("msg_1", str(SECONDS))[:2], SignatureMissing, id="absent-signature"),
    pytest.param(STANDARD, standard("msg_1", str(SECONDS))[1:], SignatureMissing, id="absent-id"),
    pytest.param(MAKE_HMAC, make(str(SECONDS))[1:], SignatureMissing, id="absent-timestamp"),
    # another key
    pytest.param(GITHUB, pairs_of(signed(GITHUB, secret="wrong")), SignatureMismatch, id="key-wrong"),
    pytest.param(GITHUB, github(f"sha256={hex_mac(BODY, key=b'')}"), SignatureMismatch, id="key-empty"),
    pytest.param(STANDARD, pairs_of(signed(STANDARD, secret=OTHER_WHSEC)), SignatureMismatch, id="key-other-source"),
    pytest.param(APIKEY, [(b"x-make-apikey", SECRET.encode() + b"x")], SignatureMismatch, id="key-longer"),
    pytest.param(APIKEY, [(b"x-make-apikey", SECRET.encode()[:-1])], SignatureMismatch, id="key-shorter"),
    pytest.param(BEARER, [(b"authorization", b"Bearer ")], SignatureMismatch, id="key-bearer-empty"),
    # a weaker or other scheme
    pytest.param(GITHUB, github(GOOD[:17]), SignatureMalformed, id="downgrade-truncated"),
    pytest.param(GITHUB, github(f"sha1={hex_mac(BODY, algorithm='sha1')}"), SignatureMalformed, id="downgrade-sha1"),
    pytest.param(GITHUB, github(f"sha256={hex_mac(BODY, algorithm='sha1')}"), SignatureMalformed, id="downgrade-short"),
    pytest.param(GITHUB, github(hex_mac(BODY)), SignatureMalformed, id="downgrade-no-prefix"),
    pytest.param(GITHUB, github(GOOD.replace("sha256", "SHA256")), SignatureMalformed, id="downgrade-prefix-case"),
    pytest.param(STANDARD, standard("msg_1", str(SECONDS), version="v2"), SignatureMalformed, id="downgrade-v2"),
    pytest.param(STANDARD, standard("msg_1", str(SECONDS), version="none"), SignatureMalformed, id="downgrade-none"),
    pytest.param(STANDARD, standard("msg_1", str(SECONDS), version=""), SignatureMalformed, id="downgrade-no-version"),
    pytest.param(BEARER, [(b"authorization", SECRET.encode())], SignatureMalformed, id="downgrade-no-bearer"),
    pytest.param(BEARER, [(b"authorization", b"Basic " + SECRET.encode())], SignatureMalformed, id="downgrade-basic"),
    # what was signed is changed
    pytest.param(
        STANDARD,
        replaced(standard("msg_1", str(SECONDS)), b"webhook-id", b"msg_2"),
        SignatureMismatch,
        id="changed-id",
    ),
    pytest.param(
        STANDARD,
        replaced(standard("msg_1", str(SECONDS)), b"webhook-timestamp", str(SECONDS + 1).encode()),
        SignatureMismatch,
        id="changed-timestamp",
    ),
    # the same bytes, cut elsewhere: MAC("a" . "1.2" . body) sent as id "a.1", timestamp "2"
    pytest.param(STANDARD, standard("a.1", str(SECONDS)), SignatureMalformed, id="shifted-delimiter"),
    # two readers could see two things
    pytest.param(GITHUB, github(GOOD) + github(BAD), SignatureMalformed, id="twice-good-bad"),
    pytest.param(GITHUB, github(BAD) + github(GOOD), SignatureMalformed, id="twice-bad-good"),
    pytest.param(APIKEY, [(b"x-make-apikey", SECRET.encode())] * 2, SignatureMalformed, id="twice-static"),
    pytest.param(
        STANDARD,
        [*standard("msg_1", str(SECONDS)), (b"webhook-id", b"msg_1")],
        SignatureMalformed,
        id="twice-id",
    ),
    # bytes that parsers trip over
    *(
        pytest.param(STANDARD, standard("msg_1", str(SECONDS), signature=text), SignatureMalformed, id=f"bytes-{name}")
        for name, text in {
            "latin-1": "v1,\xe9",
            "nul": "v1,\0",
            "tab": "v1,\t",
            "short": "v1,A",
            "padding-only": "v1,====",
            "punctuation": "v1,!!!!",
            "no-comma": "v1",
            "no-digest": "v1,",
            "spaces": "   ",
            "too-many": "v1,AAAA " * 17,
        }.items()
    ),
    *(
        pytest.param(GITHUB, github(b"sha256=" + value), SignatureMalformed, id=f"bytes-hex-{name}")
        for name, value in {"latin-1": b"\xe9" * 64, "nul": b"\0" * 64, "odd": b"abc", "space": b" " * 64}.items()
    ),
    pytest.param(APIKEY, [(b"x-make-apikey", b"\xe9\xff\0")], SignatureMismatch, id="bytes-static"),
    pytest.param(STANDARD, standard("m\u00e9", str(SECONDS)), SignatureMalformed, id="bytes-id"),
    pytest.param(STANDARD, standard("m" * 300, str(SECONDS)), SignatureMalformed, id="bytes-long-id"),
    pytest.param(STANDARD, standard("a b", str(SECONDS)), SignatureMalformed, id="bytes-id-space"),
    pytest.param(STANDARD, standard("", str(SECONDS)), SignatureMalformed, id="bytes-empty-id"),
    # timestamps, each with a correct MAC over that text
    *(
        pytest.param(MAKE_HMAC, make(text), SignatureMalformed, id=f"timestamp-{text[:20]}")
        for text in (
            "nan", "inf", "-inf", "1e9", "+5", f" {SECONDS} ", f"{SECONDS}.0", "1_700_000_000", ARABIC_DIGITS, "0x65",
            "-1", "", "9" * 5000, "99999999999999999", f"{SECONDS}\n",
        )
    ),
    pytest.param(MAKE_HMAC, make(str(SECONDS - 301)), TimestampOutOfTolerance, id="timestamp-stale"),
    pytest.param(MAKE_HMAC, make(str(SECONDS + 301)), TimestampOutOfTolerance, id="timestamp-future"),
    pytest.param(MAKE_HMAC, make("999999999999"), TimestampOutOfTolerance, id="timestamp-far-future"),
    pytest.param(MAKE_HMAC, make("0"), TimestampOutOfTolerance, id="timestamp-1970"),
]  # fmt: skip


@pytest.mark.parametrize(("scheme", "pairs", "error"), THREATS)
def test_a_threat_is_refused(scheme: Scheme, pairs: Pairs, error: type[SignatureError]) -> None:
    with pytest.raises(error) as caught:
        verify(scheme, pairs)
    assert type(caught.value) is error


@pytest.mark.parametrize(
    "body", [b'{"type": "row.added", "n": 1}', b'{"n":1,"type":"row.added"}', BODY + b"\n", b""]
)
@pytest.mark.parametrize("scheme", [GITHUB, MAKE_HMAC, STANDARD])
def test_a_body_that_was_written_again_is_refused(scheme: Scheme, body: bytes) -> None:
    """A010."""
    with pytest.raises(SignatureMismatch):
        verify(scheme, pairs_of(signed(scheme)), body)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_what_is_signed_verifies(scheme: Scheme) -> None:
    verify(scheme, pairs_of(signed(scheme)))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_secret_of_a_rotation_is_accepted_and_a_retired_one_is_not(scheme: Scheme) -> None:
    old, new, retired = (
        (WHSEC, OTHER_WHSEC, new_whsec(bytes)) if scheme is STANDARD else ("old", "new", "retired")
    )
    for secret in (old, new):
        verify(scheme, pairs_of(signed(scheme, secret=secret)), secrets=[new, old])
    with pytest.raises(SignatureMismatch):
        verify(scheme, pairs_of(signed(scheme, secret=retired)), secrets=[new, old])


@pytest.mark.parametrize("scheme", SCHEMES)
def test_without_a_secret_everything_is_refused(scheme: Scheme) -> None:
    request = SignedRequest(headers=Headers(pairs_of(signed(scheme))), body=BODY)
    with pytest.raises(SecretMissing):
        scheme.verify(request, [], NOW)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("secret", ["", " ", "\n"])
def test_an_empty_secret_is_refused_at_configuration(scheme: Scheme, secret: str) -> None:
    with pytest.raises(SchemeError, match="is empty"):
        scheme.key(secret)


def test_the_limit_of_the_tolerance_is_inside_it() -> None:
    verify(MAKE_HMAC, make(str(SECONDS - 300)))
    verify(MAKE_HMAC, make(str(SECONDS + 300)))


def test_the_future_can_have_a_limit_of_its_own() -> None:
    scheme = HmacTemplate(
        header="X-Signature",
        signed="{timestamp}.{body}",
        prefix="sha256=",
        timestamp_header="X-Timestamp",
        tolerance_future=timedelta(0),
    )
    verify(scheme, make(str(SECONDS - 300)))
    with pytest.raises(TimestampOutOfTolerance):
        verify(scheme, make(str(SECONDS + 1)))


def test_milliseconds_are_a_unit() -> None:
    scheme = HmacTemplate(header="S", signed="{timestamp}{body}", timestamp_header="T", timestamp_unit="ms")
    headers = scheme.sign(BODY, [b"k"], now=NOW)
    assert headers["T"] == str(SECONDS * 1000)
    verify(scheme, pairs_of(headers), secrets=["k"])


def test_upper_case_hex_and_any_case_of_a_headers_name_are_accepted() -> None:
    verify(GITHUB, [(b"X-HUB-Signature-256", GOOD.upper().replace("SHA256", "sha256").encode())])


def test_any_case_of_the_word_bearer_is_accepted() -> None:
    verify(BEARER, [(b"authorization", b"bearer " + SECRET.encode())])


def test_a_list_may_hold_strangers_beside_the_one_that_holds() -> None:
    good = standard("msg_1", str(SECONDS))[2][1].decode()
    verify(STANDARD, standard("msg_1", str(SECONDS), signature=f"v1a,xyz {good} v1 v1,!!! nonsense"))


def test_a_template_may_hold_percent_signs_method_and_url() -> None:
    scheme = HmacTemplate(header="S", signed="100%|{method}|{url}|{body}")
    url = "https://hooks.example.com/hooks/acme"
    headers = scheme.sign(BODY, [b"k"], now=NOW, url=url)
    assert headers["S"] == hex_mac(b"100%|POST|" + url.encode() + b"|" + BODY, key=b"k")
    scheme.verify(SignedRequest(url=url, headers=Headers.of(headers), body=BODY), [b"k"], NOW)
    with pytest.raises(SignatureMissing):
        scheme.verify(SignedRequest(headers=Headers.of(headers), body=BODY), [b"k"], NOW)
    with pytest.raises(ValueError, match="url"):
        scheme.sign(BODY, [b"k"], now=NOW)


def test_a_bare_digest_of_fireflies_counts_for_a_v1_body_only() -> None:
    scheme = providers()["fireflies"].build_scheme()
    for body, holds in (
        (b'{"eventType":"Transcription completed"}', True),
        (b'{"event":"x"}', False),
        (b"[", False),
    ):
        pairs = [(b"x-hub-signature", hex_mac(body).encode())]
        if holds:
            verify(scheme, pairs, body)
        else:
            with pytest.raises(SignatureMalformed):
                verify(scheme, pairs, body)


@pytest.mark.parametrize(
    ("scheme", "covers", "content"),
    [
        (GITHUB, "body", BODY),
        (STANDARD, "body", f"msg_1.{SECONDS}.".encode() + BODY),
        (HmacTemplate(header="S", signed="{timestamp}", timestamp_header="T"), "nothing", None),
        (APIKEY, "request", None),
        (BEARER, "request", None),
    ],
)
def test_a_scheme_says_what_it_covers_and_what_was_signed(
    scheme: Scheme, covers: str, content: bytes | None
) -> None:
    assert scheme.covers == covers
    assert scheme.signed_content(SignedRequest(headers=Headers.of(signed(scheme)), body=BODY)) == content


@pytest.mark.parametrize(
    ("parameters", "parameter"),
    [
        ({"header": "X Y"}, "header"),
        ({"header": ""}, "header"),
        ({"header": "S", "algorithm": "md5"}, "algorithm"),
        ({"header": "S", "encoding": "binary"}, "encoding"),
        ({"header": "S", "key_encoding": "rot13"}, "key_encoding"),
        ({"header": "S", "signed": "{boddy}"}, "signed"),
        ({"header": "S", "signed": "{body"}, "signed"),
        ({"header": "S", "signed": "{timestamp}.{body}"}, "timestamp_header"),
        ({"header": "S", "timestamp_header": "T"}, "timestamp_header"),
        ({"header": "S", "signed": "{id}{body}"}, "id_header"),
        ({"header": "S", "id_header": "I"}, "id_header"),
        ({"header": "S", "timestamp_unit": "h"}, "timestamp_unit"),
        ({"header": "S", "tolerance": timedelta(0)}, "tolerance"),
        ({"header": "S", "bare_if": "json:"}, "bare_if"),
    ],
)
def test_parameters_that_do_not_fit_are_named(parameters: dict[str, Any], parameter: str) -> None:
    with pytest.raises(SchemeError) as caught:
        HmacTemplate(**parameters)
    assert caught.value.parameter == parameter


@pytest.mark.parametrize(
    "secret", ["whsec_!!!", "whsec_A", "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="]
)
def test_a_secret_that_is_not_base64_is_refused_at_configuration(secret: str) -> None:
    with pytest.raises(SchemeError) as caught:
        STANDARD.key(secret)
    assert secret.removeprefix("whsec_") not in str(caught.value)


def test_a_secret_of_ours_needs_its_prefix_and_its_padding_may_be_missing() -> None:
    assert whsec_key("whsec_" + b64encode(b"x" * 25).decode().rstrip("=")) == b"x" * 25
    with pytest.raises(SchemeError):
        whsec_key(b64encode(b"x" * 25).decode())


@pytest.mark.parametrize("message_id", [None, "", "a.b", "a b", "é"])
def test_an_id_that_no_one_could_verify_is_not_signed(message_id: str | None) -> None:
    with pytest.raises(ValueError, match="message_id"):
        STANDARD.sign(BODY, [b"k"], now=NOW, message_id=message_id)


@pytest.mark.parametrize("scheme", [GITHUB, APIKEY])
def test_signing_needs_a_key(scheme: Scheme) -> None:
    with pytest.raises(ValueError, match="key"):
        scheme.sign(BODY, [], now=NOW)


# The official library as the oracle. Its clock is the machine's, so these two sign for the present.


def test_the_official_library_verifies_what_we_send_with_every_secret() -> None:
    secrets = [new_whsec(lambda size: b"n" * size), WHSEC]
    body = json.dumps({"type": "job.finished", "note": "café ☕"}, ensure_ascii=False).encode()
    headers = standard_webhooks_headers(secrets, message_id="cb_1", timestamp=datetime.now(UTC), body=body)
    assert re.fullmatch(r"v1,[^ ]+ v1,[^ ]+", headers["webhook-signature"])
    for secret in secrets:
        assert standardwebhooks.Webhook(secret).verify(body, headers)["type"] == "job.finished"
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(WHSEC).verify(body + b" ", headers)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(OTHER_WHSEC).verify(body, headers)


@given(body=st.text(), message_id=st.from_regex(r"[A-Za-z0-9_-]{1,40}", fullmatch=True))
def test_we_verify_what_the_official_library_signs(body: str, message_id: str) -> None:
    body = body.encode("utf-8", "replace").decode()
    signature = standardwebhooks.Webhook(WHSEC).sign(message_id, NOW, body)
    assert standard(message_id, str(SECONDS), body=body.encode(), signature=signature) is not None
    verify(STANDARD, standard(message_id, str(SECONDS), signature=signature), body.encode())


# Whatever a stranger sends.

NAMES = [
    b"x-hub-signature-256", b"x-hub-signature", b"x-signature", b"x-timestamp", b"webhook-id", b"webhook-timestamp",
    b"webhook-signature", b"authorization", b"x-make-apikey",
]  # fmt: skip
VALUES = st.one_of(
    st.binary(max_size=80),
    st.from_regex(rb"(sha256=)?[0-9a-f]{60,66}", fullmatch=True),
    st.from_regex(rb"(v1,[A-Za-z0-9+/=]{0,48} ?){1,20}", fullmatch=True),
    st.from_regex(rb"[0-9]{1,18}", fullmatch=True),
    st.just(str(SECONDS).encode()),
    st.just(b"Bearer x"),
)


@given(pairs=st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=12), body=st.binary(max_size=60))
def test_whatever_a_stranger_sends_is_a_signature_error(pairs: Pairs, body: bytes) -> None:
    for scheme in SCHEMES:
        with pytest.raises(SignatureError) as caught:
            verify(scheme, pairs, body)
        assert secret_for(scheme) not in f"{caught.value} {caught.value.evidence}"


@given(name=st.sampled_from(NAMES), position=st.integers(0, 200), flip=st.integers(1, 255))
def test_one_changed_byte_of_any_header_is_never_accepted_for_another_message(
    name: bytes, position: int, flip: int
) -> None:
    for scheme in (GITHUB, MAKE_HMAC, STANDARD):
        pairs = pairs_of(signed(scheme))
        original = dict(pairs).get(name)
        if original is None:
            continue
        changed = bytearray(original)
        changed[position % len(changed)] ^= flip
        if bytes(changed).lower() != original.lower():  # the case of hex digits does not count
            with pytest.raises(SignatureError):
                verify(scheme, replaced(pairs, name, bytes(changed)))


def test_headers_and_requests_show_no_values() -> None:
    request = SignedRequest(
        url="https://x/?token=s3cret", headers=Headers.of({"Authorization": "s3cret"}), body=b"s3cret"
    )
    assert "s3cret" not in repr(request)
    assert "authorization" in repr(request)


@pytest.mark.parametrize("value", [b"", b" ", b"\xe9", b"a\x07b", b"a\0"])
def test_a_header_that_is_not_printable_text_is_not_there(value: bytes) -> None:
    assert Headers([(b"x-id", value)]).get("X-Id") is None
