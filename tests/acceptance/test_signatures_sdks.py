"""Official libraries as oracles, over HTTP: what they sign is accepted, and what we sign they believe.

Libraries that only verify are asked about our signature, and the same request is sent. Those of npm are installed into the
test's directory; where Node.js is missing they are skipped on a laptop, and a failure where ``CI`` is set.
"""

import hashlib
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import jwt
import pytest
import sendgrid.helpers.eventwebhook
import slack_sdk.signature
import standardwebhooks
import stripe
import svix
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm
from linebot.v3.webhook import SignatureValidator
from twilio.request_validator import RequestValidator

from infra.embedded import EmbeddedServer
from infra.signatures import providers
from tests.acceptance.builders import System, assert_problem, serving, system

PUBLIC_URL = "https://hooks.example.com"
SECRET = "a secret of the test's own"
WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
KEY = ec.generate_private_key(ec.SECP256R1())
SPKI = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
PLAID_SECRET = "5f0c8a:a1b2c3"
KEY_ID = "6c5516e1-92dc-479e-a8ff-5a51992e0001"
EVENT = json.dumps({"id": "evt_1", "type": "row.added", "note": "café ☕"}, ensure_ascii=False)

Headers = dict[str, str]


@pytest.fixture(scope="module")
def plaid_keys() -> Iterator["PlaidKeys"]:
    with PlaidKeys().serving() as running:
        yield running


@pytest.fixture(scope="module")
def house(
    tmp_path_factory: pytest.TempPathFactory, valkey: EmbeddedServer, plaid_keys: "PlaidKeys"
) -> Iterator[System]:
    """A web process with a source for every library."""
    settings = {
        "HOOKLINE_PUBLIC_URL": PUBLIC_URL,
        "SOURCE_STANDARD_WEBHOOKS_SECRET": WHSEC,
        "SOURCE_SVIX_SECRET": WHSEC,
        "SOURCE_SENDGRID_SECRET": SPKI,
        "SOURCE_PLAID_SECRET": PLAID_SECRET,
        "SOURCE_PLAID_KEYS_URL": plaid_keys.url,
    } | {
        f"SOURCE_{name}_SECRET": SECRET for name in ("STRIPE", "SLACK", "TWILIO", "LINE", "GITHUB", "SQUARE")
    }
    with serving() as server, system(tmp_path_factory.mktemp("house"), server.url, **settings) as running:
        running.web()
        yield running


def by_stripe(body: str) -> Headers:
    stamp = str(int(time.time()))
    signature = stripe.WebhookSignature._compute_signature(f"{stamp}.{body}", SECRET)
    return {"Stripe-Signature": f"t={stamp},v1={signature}"}


def by_standard_webhooks(body: str) -> Headers:
    now = datetime.now(UTC)
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": standardwebhooks.Webhook(WHSEC).sign("msg_1", now, body),
    }


def by_svix(body: str) -> Headers:
    now = datetime.now(UTC)
    return {
        "svix-id": "msg_1",
        "svix-timestamp": str(int(now.timestamp())),
        "svix-signature": svix.Webhook(WHSEC).sign("msg_1", now, body),
    }


def by_slack(body: str) -> Headers:
    stamp = str(int(time.time()))
    signature = slack_sdk.signature.SignatureVerifier(SECRET).generate_signature(timestamp=stamp, body=body)
    assert signature is not None
    return {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": signature}


def by_twilio(body: str) -> Headers:
    url = f"{PUBLIC_URL}/hooks/twilio"
    fields = dict(httpx.QueryParams(body))
    return {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Twilio-Signature": RequestValidator(SECRET).compute_signature(url, fields),
    }


def believed_by_line(body: str) -> Headers:
    headers = ours("line", SECRET, body)
    assert SignatureValidator(SECRET).validate(body, headers["X-Line-Signature"])
    return headers


def believed_by_sendgrid(body: str) -> Headers:
    headers = ours("sendgrid", private_pem(), body)
    oracle = sendgrid.helpers.eventwebhook.EventWebhook()
    base64 = "".join(SPKI.splitlines()[1:-1])
    assert oracle.verify_signature(
        body,
        headers[sendgrid.helpers.eventwebhook.EventWebhookHeader.SIGNATURE],
        headers[sendgrid.helpers.eventwebhook.EventWebhookHeader.TIMESTAMP],
        oracle.convert_public_key_to_ecdsa(base64),
    )
    return headers


def by_plaids_documents(body: str) -> Headers:
    """https://plaid.com/docs/api/webhooks/webhook-verification/"""
    claims = {"iat": int(time.time()), "request_body_sha256": hashlib.sha256(body.encode()).hexdigest()}
    return {"Plaid-Verification": jwt.encode(claims, KEY, "ES256", headers={"kid": KEY_ID})}


SENDERS = [
    pytest.param("stripe", by_stripe, EVENT, id="stripe"),
    pytest.param("standard-webhooks", by_standard_webhooks, EVENT, id="standardwebhooks"),
    pytest.param("svix", by_svix, EVENT, id="svix"),
    pytest.param("slack", by_slack, EVENT, id="slack_sdk"),
    pytest.param(
        "twilio", by_twilio, "MessageSid=SM1&Body=caf%C3%A9+au+lait&From=%2B15005550006", id="twilio"
    ),
    pytest.param("line", believed_by_line, EVENT, id="line-bot-sdk"),
    pytest.param("sendgrid", believed_by_sendgrid, f"[{EVENT}]\r\n", id="sendgrid"),
    pytest.param("plaid", by_plaids_documents, EVENT, id="plaid"),
]


@pytest.mark.parametrize(("source", "sign", "body"), SENDERS)
def test_what_an_official_library_signs_is_accepted_and_nothing_else(
    house: System, source: str, sign: Callable[[str], Headers], body: str
) -> None:
    headers = {"Content-Type": "application/json"} | sign(body)

    accepted = house.http.post(f"/hooks/{source}", content=body.encode(), headers=headers)
    assert accepted.status_code == 202, accepted.text
    again = house.http.post(f"/hooks/{source}", content=body.encode(), headers=headers)
    assert again.status_code == 200, again.text
    assert '"duplicate":true' in again.text.replace(" ", "")
    assert '"duplicate":false' not in again.text.replace(" ", "")
    changed = house.http.post(f"/hooks/{source}", content=body.encode() + b" ", headers=headers)
    assert_problem(changed, 401, "signature_invalid")


def test_plaids_key_is_asked_for_once_and_a_stranger_can_not_make_us_ask_for_more(
    house: System, plaid_keys: "PlaidKeys"
) -> None:
    for _ in range(3):
        body = json.dumps({"webhook_code": "X", "at": time.time_ns()})
        answer = house.http.post("/hooks/plaid", content=body, headers=by_plaids_documents(body))
        assert answer.status_code == 202, answer.text
    assert plaid_keys.asked.count(KEY_ID) == 1
    assert plaid_keys.credentials == {("5f0c8a", "a1b2c3")}

    for number in range(30):
        stranger = jwt.encode({"iat": int(time.time())}, KEY, "ES256", headers={"kid": f"made-up-{number}"})
        refused = house.http.post("/hooks/plaid", content="{}", headers={"Plaid-Verification": stranger})
        assert_problem(refused, 401, "signature_invalid")
    assert len(plaid_keys.asked) <= 10


@pytest.fixture(scope="module")
def oracles(npm_project: Path) -> Callable[[Any], Any]:
    """``oracles(questions)``: what the libraries of npm answer."""

    def ask(questions: Any) -> Any:
        answered = subprocess.run(
            ["node", "oracles.mjs"],
            cwd=npm_project,
            input=json.dumps(questions),
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return json.loads(answered.stdout)

    return ask


@pytest.mark.slow
def test_the_libraries_of_npm_agree(house: System, oracles: Callable[[Any], Any]) -> None:
    url = f"{PUBLIC_URL}/hooks/square"
    squared = ours("square", SECRET, EVENT, url=url)
    answers = oracles(
        {
            "github": {"secret": SECRET, "body": EVENT},
            "square": {
                "secret": SECRET,
                "body": EVENT,
                "url": url,
                "signature": squared["x-square-hmacsha256-signature"],
            },
        }
    )
    assert answers["square"] is True
    for source, headers in (("github", {"X-Hub-Signature-256": answers["github"]}), ("square", squared)):
        accepted = house.http.post(f"/hooks/{source}", content=EVENT.encode(), headers=headers)
        assert accepted.status_code == 202, accepted.text


class PlaidKeys:
    """Plaid's ``/webhook_verification_key/get`` on this machine."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.credentials: set[tuple[str, str]] = set()
        self.url = ""

    @contextmanager
    def serving(self) -> Iterator["PlaidKeys"]:
        keys = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status, answer = keys.answer(question)
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{server.server_port}/webhook_verification_key/get"
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()

    def answer(self, question: dict[str, str]) -> tuple[int, bytes]:
        self.asked.append(question["key_id"])
        self.credentials.add((question["client_id"], question["secret"]))
        if question["key_id"] != KEY_ID:
            return 400, b'{"error_code": "INVALID_WEBHOOK_VERIFICATION_KEY_ID"}'
        key = json.loads(ECAlgorithm.to_jwk(KEY.public_key()))
        key |= {"kid": KEY_ID, "alg": "ES256", "use": "sig", "created_at": 1, "expired_at": None}
        return 200, json.dumps({"key": key, "request_id": "r"}).encode()


def ours(provider: str, secret: str, body: str, *, url: str | None = None) -> Headers:
    """The headers that our own signer makes."""
    scheme = providers()[provider].build_scheme()
    return scheme.sign(body.encode(), [scheme.key(secret)], now=datetime.now(UTC), url=url)


def private_pem() -> str:
    from cryptography.hazmat.primitives.serialization import NoEncryption, PrivateFormat

    return KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
