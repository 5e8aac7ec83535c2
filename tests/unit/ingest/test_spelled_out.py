"""Senders whose way to sign a source spells out: each family, from `sources.toml` to a 202."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from infra.settings import Settings, SettingsError
from infra.signatures import FetchError, Signed
from ingest.sources import load_sources
from tests.unit.ingest.application import House, assert_problem, running

BODY = {"id": "evt_1", "type": "row.added"}
KEYS_URL = "https://acme.example/.well-known/jwks.json"
ED25519 = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))
ECDSA = ec.derive_private_key(1001, ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)


def private(key: Any) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()  # type: ignore[no-any-return]


def public(key: Any) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()  # type: ignore[no-any-return]


def key_set(**keys: Any) -> bytes:
    algorithms: Any = {ed25519.Ed25519PrivateKey: OKPAlgorithm, ec.EllipticCurvePrivateKey: ECAlgorithm}
    jwks = []
    for key_id, key in keys.items():
        algorithm = next((one for kind, one in algorithms.items() if isinstance(key, kind)), RSAAlgorithm)
        jwks.append(json.loads(algorithm.to_jwk(key.public_key())) | {"kid": key_id})
    return json.dumps({"keys": jwks}).encode()


class Published:
    """What stands at `KEYS_URL`."""

    def __init__(self, document: bytes | None) -> None:
        self.document = document
        self.asked: list[str] = []

    async def fetch(self, url: str, question: bytes | None = None) -> bytes:
        self.asked.append(url)
        if self.document is None or question is not None:
            raise FetchError("the answer is 404")
        return self.document

    async def aclose(self) -> None:
        pass


@dataclass(frozen=True)
class Sender:
    """A sender as a source describes it.

    Args:
        table: the source's, without its secret.
        secret: what verifies; None: the source has none.
        signs_with: what signs, if it is another.
        published: at `KEYS_URL`.
        headers: that the sender adds.
        covers: what its signature vouches for.
    """

    table: str
    secret: str | None = "s3cret-of-acme"
    signs_with: str | None = None
    published: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    covers: str = "body"

    @property
    def file(self) -> str:
        return f'[acme]\nevent_id = "json:$.id"\nevent_type = "json:$.type"\n{self.table}'


JWT = 'provider = "jwt"\nalgorithm = "RS256"\nclaims = { iss = "https://acme.example", aud = "{url}" }\n'
IN_BODY = 'provider = "body-signature"\nsignature = "meta.signature"\n'
ASYMMETRIC = 'provider = "asymmetric"\nheader = "X-Signature"\n'
PUBLISHED = f'{ASYMMETRIC}keys_url = "{KEYS_URL}"\n'
SENDERS = {
    "hmac": Sender('provider = "hmac"\nheader = "X-Signature"\nsigned = "{timestamp}.{body}"\ntimestamp_header = "X-Timestamp"'),
    "hmac in a list": Sender(
        'provider = "hmac"\nheader = "X-Signature"\nsigned = "{timestamp}.{body}"\ntimestamp_field = "t"\n'
        'item_separator = ","\nversion_separator = "="\nversions = ["v1"]'
    ),
    "keyed hash": Sender('provider = "keyed-hash"\nheader = "X-Signature"\nsigned = "{secret}{body}"\nalgorithm = "sha512"'),
    "ed25519": Sender(ASYMMETRIC, secret=public(ED25519), signs_with=private(ED25519)),
    "ecdsa": Sender(
        ASYMMETRIC + 'algorithm = "ecdsa-sha256"\nencoding = "base64"\nsigned = "{timestamp}{body}"\ntimestamp_header = "X-Timestamp"',
        secret=public(ECDSA), signs_with=private(ECDSA),
    ),
    "rsa": Sender(ASYMMETRIC + 'algorithm = "rsa-sha256"\nencoding = "base64"', secret=public(RSA), signs_with=private(RSA)),
    "published keys": Sender(PUBLISHED, secret=None, signs_with=private(ED25519), published=key_set(other=RSA, one=ED25519)),
    "a published key by its id": Sender(
        PUBLISHED + 'key_id_header = "X-Key-Id"', secret=None, signs_with=private(ED25519),
        published=key_set(one=ED25519), headers={"X-Key-Id": "one"},
    ),
    "jwt": Sender(JWT + 'body_claim = "body_sha256"', secret=public(RSA), signs_with=private(RSA)),
    "jwt by a shared key": Sender('provider = "jwt"\nalgorithm = "HS256"\nbody_claim = "body_sha256"', secret="s3cret" * 8),
    "jwt by a published key": Sender(
        JWT + f'keys_url = "{KEYS_URL}"\nbody_claim = "body_sha256"', secret=None,
        signs_with=private(RSA), published=key_set(hookline=RSA),
    ),
    "jwt without the body": Sender(JWT, secret=public(RSA), signs_with=private(RSA), covers="nothing"),
    "static": Sender('provider = "static"\nheader = "X-Api-Key"', covers="request"),
    "static behind a word": Sender('provider = "static"\nheader = "Authorization"\nauth_scheme = "Token"', covers="request"),
    "hmac in the body": Sender(IN_BODY + 'fields = ["id", "type"]\njoin = "|"', covers="fields"),
    "hmac and time in the body": Sender(IN_BODY + 'fields = ["meta.at", "id", "type"]\ntimestamp = "meta.at"', covers="fields"),
    "secret in the body": Sender(IN_BODY, covers="request"),
}  # fmt: skip


def at(sender: Sender, published: Published | None = None) -> Any:
    """A web process with this source."""
    secrets = {} if sender.secret is None else {"acme": sender.secret}
    return running(sources=sender.file, secrets=secrets, fetcher=published or Published(sender.published))


def sign(house: House, sender: Sender, *, signs_with: str | None = None) -> Signed:
    scheme = house.sources["acme"].scheme
    return scheme.sign_request(
        json.dumps(BODY).encode(),
        [scheme.key(signs_with or sender.signs_with or sender.secret or "")],
        now=house.clock.now(),
        message_id="msg_1",
        url="https://hooks.example.com/hooks/acme",
    )


async def post(house: House, sender: Sender, signed: Signed, body: bytes | None = None) -> httpx.Response:
    headers = {"Content-Type": "application/json", **signed.headers, **sender.headers}
    return await house.http.post(
        "/hooks/acme", content=signed.body if body is None else body, headers=headers
    )


def each(*names: str) -> Any:
    return pytest.mark.parametrize("name", names or SENDERS)


@each()
def test_what_the_sender_signs_is_accepted_and_named(name: str) -> None:
    sender = SENDERS[name]

    async def scenario() -> None:
        async with at(sender) as house:
            assert house.sources["acme"].scheme.covers == sender.covers
            answer = await post(house, sender, sign(house, sender))
            assert answer.status_code == 202, answer.text
            job = await house.ledger.reading.job(answer.json()["job_id"])
            assert job is not None
            assert job.type == "row.added"

    asyncio.run(scenario())


@each(*(name for name, sender in SENDERS.items() if sender.covers in ("body", "fields")))
def test_a_body_that_was_changed_is_refused(name: str) -> None:
    sender = SENDERS[name]

    async def scenario() -> None:
        async with at(sender) as house:
            signed = sign(house, sender)
            answer = await post(house, sender, signed, signed.body.replace(b"row.added", b"row.addee"))
            assert_problem(answer, 401, "signature_invalid")
            assert house.stored() == set()

    asyncio.run(scenario())


@each(*(name for name, sender in SENDERS.items() if "imestamp" in sender.table or "jwt" in sender.table))
def test_what_was_signed_too_long_ago_is_refused(name: str) -> None:
    sender = SENDERS[name]

    async def scenario() -> None:
        async with at(sender) as house:
            signed = sign(house, sender)
            house.clock.advance(timedelta(minutes=6))
            assert_problem(await post(house, sender, signed), 401, "signature_invalid")

    asyncio.run(scenario())


OTHERS = {"ed25519": ed25519.Ed25519PrivateKey.from_private_bytes(bytes([7]) * 32), "rsa": rsa.generate_private_key(65537, 2048)}  # fmt: skip


@each()
def test_somebody_elses_key_is_refused(name: str) -> None:
    sender = SENDERS[name]
    if sender.signs_with is None:
        other = "somebody-elses" * 3
    else:
        own = load_pem_private_key(sender.signs_with.encode(), None)
        kinds = {ed25519.Ed25519PrivateKey: OTHERS["ed25519"], rsa.RSAPrivateKey: OTHERS["rsa"]}
        other = private(next((made for kind, made in kinds.items() if isinstance(own, kind)), ec.derive_private_key(2, ec.SECP256R1())))  # fmt: skip

    async def scenario() -> None:
        async with at(sender) as house:
            answer = await post(house, sender, sign(house, sender, signs_with=other))
            assert_problem(answer, 401, "signature_invalid")

    asyncio.run(scenario())


# -- published keys ----------------------------------------------------------------------------------------------------

BY_URL = [name for name, sender in SENDERS.items() if sender.published is not None]


@each(*BY_URL)
def test_keys_are_fetched_once_from_where_the_source_says(name: str) -> None:
    sender = SENDERS[name]

    async def scenario() -> None:
        published = Published(sender.published)
        async with at(sender, published) as house:
            answers = [await post(house, sender, sign(house, sender)) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [202, 200, 200]
        assert published.asked == [KEYS_URL]

    asyncio.run(scenario())


@each(*BY_URL)
@pytest.mark.parametrize(
    "document", [None, b"", b"<html>", b"{}", b'{"keys": [7]}', key_set(one=ECDSA), key_set()], ids=str
)
def test_without_a_key_that_fits_nothing_is_believed(name: str, document: bytes | None) -> None:
    sender = SENDERS[name]

    async def scenario() -> None:
        async with at(sender, Published(document)) as house:
            assert_problem(await post(house, sender, sign(house, sender)), 401, "signature_invalid")

    asyncio.run(scenario())


def test_a_key_of_its_own_counts_besides_the_published_ones() -> None:
    sender = Sender(
        PUBLISHED, secret=public(ED25519), signs_with=private(ED25519), published=key_set(one=RSA)
    )

    async def scenario() -> None:
        async with at(sender) as house:
            assert (await post(house, sender, sign(house, sender))).status_code == 202

    asyncio.run(scenario())


def test_a_key_id_that_is_new_is_asked_for() -> None:
    sender = SENDERS["a published key by its id"]

    async def scenario() -> None:
        published = Published(key_set(old=OTHERS["ed25519"]))
        async with at(sender, published) as house:
            assert (await post(house, sender, sign(house, sender))).status_code == 401
            published.document = sender.published
            assert (await post(house, sender, sign(house, sender))).status_code == 202

    asyncio.run(scenario())


# -- what stops the start ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        (ASYMMETRIC + 'algorithm = "rot13"', "algorithm: needs one of: ed25519"),
        (ASYMMETRIC + 'secret = "file:key"', "secret: needs a key as PEM"),
        (ASYMMETRIC + 'key_id_header = "X-Key"', "key_id_header: means nothing without keys_url"),
        (ASYMMETRIC + 'keys_url = "acme.example"', "keys_url: needs an address"),
        (ASYMMETRIC + 'claims = { iss = "x" }', "claims: is not a key of provider asymmetric"),
        ('provider = "asymmetric"', "header is needed"),
        ('provider = "jwt"', "algorithm is needed"),
        ('provider = "jwt"\nalgorithm = "none"', "algorithm: needs one of: HS256"),
        (f'provider = "jwt"\nalgorithm = "RS256"\nkeys_url = "{KEYS_URL}"', "claims is needed with keys_url"),
        ('provider = "jwt"\nalgorithm = "RS256"\nclaims = "iss"', "claims: needs a table"),
        ('provider = "jwt"\nalgorithm = "RS256"\nclaims = { iss = 1.5 }', "claims: needs a table"),
        ('provider = "jwt"\nalgorithm = "RS256"\nclaims = { aud = [] }', "claims: needs a table"),
        ('provider = "keyed-hash"\nheader = "X"\nsigned = "{body}"', "signed: needs {secret}"),
        ('provider = "keyed-hash"\nheader = "X"', "signed needs {secret}"),
        ('provider = "body-signature"', "signature is needed"),
        (IN_BODY + 'fields = ["id"]\ntimestamp = "at"', "timestamp: proves nothing"),
        (IN_BODY + "fields = [7]", "fields: needs text"),
        ('provider = "hmac"\nheader = "X"\nversions = ["v1"]', "item_separator is needed for a list"),
        ('provider = "static"\nheader = "X"\nsigned = "{body}"', "signed: is not a key of provider static"),
    ],
)  # fmt: skip
def test_what_does_not_fit_stops_the_start_with_the_key(table: str, fault: str) -> None:
    files = {"sources.toml": f"[acme]\n{table}\n", "key": "no key at all"}
    with pytest.raises(SettingsError, match=r"^sources.toml \[acme\]") as caught:
        load_sources(Settings.load({"HOOKLINE_PUBLIC_URL": "https://h"}), {}, read_file=files.__getitem__)
    assert fault in str(caught.value)
