"""Why a request was refused: every change that we know is found, and none shows a secret."""

import hmac
import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.settings import Settings
from infra.signatures import Scheme, SignatureError, providers
from ingest.diagnose import Diagnosis, diagnose
from ingest.refusals import Sample
from ingest.sources import Sources, load_sources
from tests.unit.ingest.application import hex_hmac

NOW = datetime(2026, 11, 21, 20, 41, 11, tzinfo=UTC)
WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SECRET = "0123456789abcdef"
OLD = "the-secret-before-this"
SECRETS = {
    "github": SECRET,
    "gitlab": "secret-of-gitlab",
    "stripe": WHSEC,
    "billing": WHSEC,
    "square": "secret-of-square",
    "slack": "secret-of-slack",
    "hubspot": "secret-of-hubspot",
}
FILE = '[billing]\nprovider = "standard-webhooks"\n[empty]\nprovider = "github"\nsecret = "env:NOT_SET"\n'
BODY = b'{"url": "https://example.com/", "id": 7, "name": "caf\\u00e9"}'
HEADER = "X-Hub-Signature-256"


def house() -> Sources:
    settings = Settings.load({"HOOKLINE_PUBLIC_URL": "https://hooks.example.com"})
    environ = {f"SOURCE_{name.upper()}_SECRET": secret for name, secret in SECRETS.items()}
    return load_sources(settings, environ, read_file=lambda _: FILE)


def sample(
    source: str, headers: Mapping[str, str], body: bytes | None = BODY, *, url: str | None = None
) -> Sample:
    return Sample(
        received_at=NOW,
        because="no secret of the source makes this signature",
        method="POST",
        url=url or f"https://hooks.example.com/hooks/{source}",
        query=b"",
        headers=[(name.lower().encode(), value.encode()) for name, value in headers.items()],
        size=0 if body is None else len(body),
        body=body,
    )


def of_github(signature: str, body: bytes = BODY) -> Sample:
    return sample("github", {HEADER: signature}, body)


def told(sample: Sample, source: str, **words: str) -> Diagnosis:
    sources = house()
    (found,) = diagnose([sample], sources.by_name[source], sources, budget=timedelta(minutes=1), **words)
    assert not any(secret in repr(found) for secret in SECRETS.values())
    return found


def scheme_of(source: str) -> Scheme:
    return house().by_name[source].scheme


def signed(
    source: str, body: bytes = BODY, secret: str | None = None, *, at: datetime = NOW, url: str = ""
) -> dict:
    scheme = scheme_of(source)
    address = url or f"https://hooks.example.com/hooks/{source}"
    key = scheme.key(secret or SECRETS[source])
    return scheme.sign(body, [key], now=at, message_id="msg_1", url=address)


VALUE = json.loads(BODY)
SIGNED_BODIES = {
    "without spaces,": json.dumps(VALUE, separators=(",", ":")).encode(),
    "without spaces.": json.dumps(VALUE, separators=(",", ":"), ensure_ascii=False).encode(),
    "with spaces, keys sorted": json.dumps(VALUE, sort_keys=True, ensure_ascii=False).encode(),
    "in lines, by 2": json.dumps(VALUE, indent=2, ensure_ascii=False).encode(),
    "with \\/ for /": json.dumps(VALUE, separators=(",", ":")).replace("/", "\\/").encode(),
    "a line's end behind it": BODY + b"\n",
    "CR LF behind it": BODY + b"\r\n",
}  # fmt: skip


@pytest.mark.parametrize("words", SIGNED_BODIES)
def test_a_body_that_was_written_anew_on_the_way_is_found(words: str) -> None:
    found = told(of_github("sha256=" + hex_hmac(SECRET, SIGNED_BODIES[words])), "github")

    assert len(found.holds) == 1
    assert words in found.holds[0]
    assert "let it pass the bytes" in found.cures[0]


def test_a_body_with_a_line_behind_it_that_was_not_signed_is_found() -> None:
    found = told(of_github("sha256=" + hex_hmac(SECRET, BODY), BODY + b"\r\n"), "github")
    assert "without white space" in found.holds[0]


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (SECRETS["gitlab"], "The secret of source gitlab would hold."),
        (SECRET + "\n", "The source's secret would hold with a line's end behind it."),
        (f'"{SECRET}"', "in quotation marks"),
        (SECRET.encode().hex(), "as the text of its hex"),
        (b64encode(SECRET.encode()).decode(), "as the text of its base64"),
        (b64decode(SECRET).decode("latin-1"), "decoded from base64"),
        (bytes.fromhex(SECRET).decode("latin-1"), "decoded from hex"),
    ],
)
def test_another_secret_or_another_reading_of_it_is_found(key: str, words: str) -> None:
    signature = hmac.digest(key.encode("latin-1"), BODY, "sha256").hex()

    assert words in told(of_github(f"sha256={signature}"), "github").holds[0]


def test_a_whsec_that_is_read_as_text_is_found() -> None:
    scheme = scheme_of("billing")
    headers = scheme.sign(BODY, [WHSEC.encode()], now=NOW, message_id="msg_1")

    assert "as text, `whsec_` included" in told(sample("billing", headers), "billing").holds[0]


def test_a_whsec_that_is_decoded_where_it_is_text_is_found() -> None:
    key = b64decode(WHSEC.removeprefix("whsec_"))
    headers = scheme_of("stripe").sign(BODY, [key], now=NOW)

    assert "decoded from base64" in told(sample("stripe", headers), "stripe").holds[0]


def test_the_secret_that_the_operator_gives_is_tried() -> None:
    refused = of_github("sha256=" + hex_hmac(OLD, BODY))

    assert told(refused, "github").holds == ()
    assert told(refused, "github", tried=OLD).holds == ("The secret that you gave would hold.",)


@pytest.mark.parametrize(
    ("signature", "words"),
    [
        ("sha256=" + b64encode(bytes.fromhex(hex_hmac(SECRET, BODY))).decode(), "encoded as base64"),
        (hex_hmac(SECRET, BODY), "without the prefix sha256="),
        ("sha256=" + hex_hmac(SECRET, BODY, "sha512"), "made by HMAC-SHA512"),
    ],
)
def test_another_spelling_of_the_signature_is_found(signature: str, words: str) -> None:
    assert words in told(of_github(signature), "github").holds[0]


@pytest.mark.parametrize("version", ["v2", "v1"])
def test_another_version_of_the_provider_is_found(version: str) -> None:
    scheme = providers()["hubspot"].build_scheme(version)
    url = "https://hooks.example.com/hooks/hubspot"
    headers = scheme.sign(BODY, [scheme.key(SECRETS["hubspot"])], now=NOW, url=url)

    found = told(sample("hubspot", headers), "hubspot")

    assert f"scheme {version}" in found.holds[0]
    assert found.cures == (f'Set `scheme = "{version}"` for this source.',)


def test_another_providers_way_is_found() -> None:
    found = told(
        sample("github", {"Linear-Signature": hex_hmac(SECRET, BODY), HEADER: "none"}, BODY), "github"
    )
    assert found.holds == ()  # Linear's time is missing from the body

    found = told(sample("github", {"X-Shopify-Hmac-Sha256": b64encode(bytes.fromhex(hex_hmac(SECRET, BODY))).decode()}), "github")  # fmt: skip
    assert 'Set `provider = "shopify"`.' in found.cures[0]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://hooks.example.com/hooks/square", "http://hooks.example.com/hooks/square"),
        ("https://hooks.example.com/hooks/square/", "https://hooks.example.com/hooks/square/"),
        ("http://10.0.0.7:8000/hooks/square", "http://10.0.0.7:8000/hooks/square"),
        ("https://public.example.com/hooks/square", "https://public.example.com/hooks/square"),
    ],
)
def test_the_address_that_the_sender_signed_is_found(url: str, shown: str) -> None:
    headers = {"Host": "10.0.0.7:8000", "X-Forwarded-Host": "public.example.com", **signed("square", url=url)}

    found = told(sample("square", headers), "square")

    assert found.holds == (f"It holds for the address {shown}.",)


@pytest.mark.parametrize(("seconds", "words"), [(-3600, "3600 s behind"), (900, "900 s ahead of")])
def test_a_clock_that_is_off_is_found(seconds: int, words: str) -> None:
    found = told(sample("slack", signed("slack", at=NOW + timedelta(seconds=seconds))), "slack")

    assert words in found.holds[0]
    assert "time server" in found.cures[0]


def test_two_things_that_are_wrong_together_are_found() -> None:
    body = json.dumps(VALUE, separators=(",", ":"), ensure_ascii=False).encode()
    headers = signed("slack", body, SECRETS["github"], at=NOW - timedelta(hours=1))

    found = told(sample("slack", headers), "slack")

    assert [what.split(" ")[0] for what in found.holds] == ["It", "The", "The"]
    assert "3600 s behind" in found.holds[2]


def test_what_holds_by_now_is_told() -> None:
    assert (
        "something was set right since"
        in told(of_github("sha256=" + hex_hmac(SECRET, BODY)), "github").holds[0]
    )


def test_a_sender_that_does_not_sign_is_told() -> None:
    found = told(sample("github", {}), "github")
    assert (found.holds, found.cures) == (
        (),
        ("The sender has to sign: HMAC-SHA256 of {body} in X-Hub-Signature-256.",),
    )


def test_a_source_without_a_secret_is_told() -> None:
    assert "no secret" in told(sample("empty", {}), "empty").holds[0]


def test_a_request_that_was_too_large_to_be_kept_is_told() -> None:
    assert "too large" in told(sample("github", {HEADER: "sha256=00"}, None), "github").cures[0]


def test_what_nobody_can_explain_says_what_to_compare() -> None:
    assert "Compare the secret" in told(of_github("sha256=" + "0" * 64), "github").cures[0]


def test_the_budget_ends_it_and_is_shared() -> None:
    sources, ticks = house(), count()
    refused = [of_github("sha256=" + "0" * 64)] * 2

    found = diagnose(
        refused, sources.by_name["github"], sources, budget=timedelta(seconds=40), cpu=lambda: next(ticks)
    )

    assert [each.cut_short for each in found] == [True, True]
    assert 30 < next(ticks) < 50


@given(
    st.sampled_from(sorted(SECRETS)),
    st.binary(max_size=64) | st.just(BODY),
    st.dictionaries(
        st.sampled_from(
            ["x-hub-signature-256", "webhook-id", "stripe-signature", "x-slack-request-timestamp", "host"]
        ),
        st.text(st.characters(max_codepoint=255), max_size=40)
        | st.sampled_from(["sha256=" + "0" * 64, "t=1,v1=00", "1"]),
    ),
)
def test_whatever_was_refused_is_looked_into_without_an_error(
    name: str, body: bytes, headers: dict[str, str]
) -> None:
    sources = house()
    refused = sample(name, headers, body)
    try:
        sources.by_name[name].verify(refused.request, NOW)
    except SignatureError:
        (found,) = diagnose([refused], sources.by_name[name], sources, budget=timedelta(milliseconds=20))
        assert not any(secret in repr(found) for secret in SECRETS.values())
