"""What providers ask, and their bodies of several events, as they send them to a real web process."""

import hmac
import json
import time
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from infra.embedded import EmbeddedServer
from infra.ledger import keys
from tests.acceptance.builders import System, assert_problem, hmac_hex, serving, system

SECRET = "a-secret-of-32-characters-at-all"
VERIFY_TOKEN = "a-token-of-metas-own"
ADYEN_KEY = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056"
PUBLIC_URL = "https://hooks.example.com"
SENDGRID = generate_private_key(SECP256R1())
SENDGRID_KEY = SENDGRID.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, valkey: EmbeddedServer) -> Iterator[System]:
    """A web process whose sources stand in its environment."""
    settings = {
        f"SOURCE_{name}_SECRET": SECRET
        for name in ("SLACK", "META", "ZOOM", "DROPBOX", "MICROSOFT_GRAPH", "X_TWITTER", "HUBSPOT", "LINE")
    } | {
        "HOOKLINE_SOURCES": "/nowhere/sources.toml",
        "HOOKLINE_PUBLIC_URL": PUBLIC_URL,
        "SOURCE_META_VERIFY_TOKEN": VERIFY_TOKEN,
        "SOURCE_ASANA_HANDSHAKE": "open",
        "SOURCE_ADYEN_SECRET": ADYEN_KEY,
        "SOURCE_SENDGRID_SECRET": b64encode(SENDGRID_KEY).decode(),
    }
    with serving() as server, system(tmp_path_factory.mktemp("house"), server.url, **settings) as running:
        running.web()
        yield running


@pytest.fixture(autouse=True)
def _empty(house: System) -> None:
    house.redis.flushall()  # of this module's own server


def post(house: System, source: str, body: bytes, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return house.http.post(
        f"/hooks/{source}", content=body, headers={"Content-Type": "application/json", **named}
    )


def now() -> str:
    return str(round(time.time()))


def base64_hmac(content: bytes, key: bytes = SECRET.encode()) -> str:
    return b64encode(hmac.digest(key, content, "sha256")).decode()


def assert_text(answer: httpx.Response, text: str) -> None:
    """It is that text, as text."""
    assert (answer.status_code, answer.text) == (200, text)
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def stored(house: System) -> int:
    """How many events are."""
    return len(list(house.redis.scan_iter(keys.EVENT + "*")))


# -- handshakes --------------------------------------------------------------------------------------------------------


def test_slack_checks_the_address(house: System) -> None:
    body, stamp = b'{"token":"t","challenge":"3eZbrw1aBm2r","type":"url_verification"}', now()
    signature = "v0=" + hmac_hex(SECRET, b"v0:" + stamp.encode() + b":" + body)
    assert_text(
        post(house, "slack", body, X_Slack_Request_Timestamp=stamp, X_Slack_Signature=signature),
        "3eZbrw1aBm2r",
    )
    assert_problem(
        post(house, "slack", body, X_Slack_Request_Timestamp=stamp, X_Slack_Signature="v0=" + "0" * 64),
        401,
        "signature_invalid",
    )
    assert house.keys() == set()


def test_meta_subscribes(house: System) -> None:
    asked = "/hooks/meta?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token="
    assert_text(house.http.get(asked + VERIFY_TOKEN), "1158201444")
    for token in (SECRET, "", VERIFY_TOKEN[:-1]):
        assert_problem(house.http.get(asked + token), 401, "signature_invalid")


def test_zoom_validates_the_address(house: System) -> None:
    body, stamp = b'{"payload":{"plainToken":"qgg8vlvZRS6U"},"event":"endpoint.url_validation"}', now()
    signature = "v0=" + hmac_hex(SECRET, b"v0:" + stamp.encode() + b":" + body)
    answer = post(house, "zoom", body, x_zm_request_timestamp=stamp, x_zm_signature=signature)
    assert answer.status_code == 200
    assert answer.json() == {
        "plainToken": "qgg8vlvZRS6U",
        "encryptedToken": hmac_hex(SECRET, b"qgg8vlvZRS6U"),
    }


def test_microsoft_graph_validates_the_address(house: System) -> None:
    answer = house.http.post(
        "/hooks/microsoft-graph?validationToken=Validation%3a+Testing+%3Cscript%3E",
        headers={"Content-Type": "text/plain; charset=utf-8"},
    )
    assert_text(answer, "Validation: Testing <script>")


def test_dropbox_verifies_the_address(house: System) -> None:
    assert_text(house.http.get("/hooks/dropbox?challenge=XyZ-123"), "XyZ-123")


def test_x_checks_that_the_secret_is_known(house: System) -> None:
    answer = house.http.get("/hooks/x-twitter?crc_token=challenge_string")
    assert answer.json() == {"response_token": "sha256=" + base64_hmac(b"challenge_string")}
    assert_problem(house.http.get('/hooks/x-twitter?crc_token={"a":1}'), 405, "method_not_allowed")


def test_asana_brings_its_secret_which_only_the_operator_can_read(house: System) -> None:
    secret = "b537207f20cbfa02357cf448134da559e8bd39d61597dcd5631b8012eae53e81"
    answer = post(house, "asana", b"{}", X_Hook_Secret=secret)
    assert (answer.status_code, answer.headers["X-Hook-Secret"], answer.content) == (200, secret, b"")
    assert house.keys() == set()

    said = house.started[0].wait_for_output("sources reveal")
    assert secret not in said
    (line,) = [json.loads(line) for line in said.splitlines() if "sources reveal" in line]
    revealed = house.run("hookline", "sources", "reveal", line["hidden"], said=secret)
    assert revealed.process.wait(20) == 0


@pytest.mark.parametrize(
    "source", ["slack", "zoom", "microsoft-graph", "dropbox", "meta", "x-twitter", "line"]
)
def test_a_get_that_asks_nothing_is_not_allowed(house: System, source: str) -> None:
    assert_problem(house.http.get(f"/hooks/{source}"), 405, "method_not_allowed")


# -- bodies of several events ------------------------------------------------------------------------------------------


def assert_recorded(first: httpx.Response, again: httpx.Response, events: int, house: System) -> None:
    """So many events, and none of them twice."""
    assert (first.status_code, again.status_code) == (202, 200), first.text
    told: list[dict[str, Any]] = first.json()["events"]
    assert [each["duplicate"] for each in told] == [False] * events
    assert [each["event_id"] for each in again.json()["events"]] == [each["event_id"] for each in told]
    assert stored(house) == events


def test_sendgrid_sends_several_events(house: System) -> None:
    events = [{"event": "processed", "sg_event_id": f"e{number}"} for number in range(250)]
    body, stamp = json.dumps(events).encode() + b"\r\n", now()
    signature = b64encode(SENDGRID.sign(stamp.encode() + body, ECDSA(SHA256()))).decode()
    signed = {
        "X_Twilio_Email_Event_Webhook_Signature": signature,
        "X_Twilio_Email_Event_Webhook_Timestamp": stamp,
    }
    first, again = [post(house, "sendgrid", body, **signed) for _ in range(2)]
    assert_recorded(first, again, 250, house)


def test_hubspot_sends_several_events(house: System) -> None:
    events = [
        {"subscriptionId": 1, "eventId": number, "occurredAt": 5, "subscriptionType": "contact.creation"}
        for number in range(3)
    ]
    body, stamp = json.dumps(events).encode(), str(round(time.time() * 1000))
    content = b"POST" + f"{PUBLIC_URL}/hooks/hubspot".encode() + body + stamp.encode()
    signed = {"X_HubSpot_Signature_v3": base64_hmac(content), "X_HubSpot_Request_Timestamp": stamp}
    first, again = [post(house, "hubspot", body, **signed) for _ in range(2)]
    assert_recorded(first, again, 3, house)


def test_line_sends_several_events_and_tries_with_none(house: System) -> None:
    none = b'{"destination":"U1","events":[]}'
    tried = post(house, "line", none, X_Line_Signature=base64_hmac(none))
    assert (tried.status_code, tried.json(), house.keys()) == (200, {"events": []}, set())

    events = [{"type": "message", "webhookEventId": f"e{number}"} for number in range(2)]
    body = json.dumps({"destination": "U1", "events": events}).encode()
    first, again = [post(house, "line", body, X_Line_Signature=base64_hmac(body)) for _ in range(2)]
    assert_recorded(first, again, 2, house)


def test_adyen_sends_several_events_and_hears_that_they_are_accepted(house: System) -> None:
    items = []
    for number in range(2):
        content = f"{number}::M:R:1130:EUR:AUTHORISATION:true".encode()
        items.append(
            {
                "NotificationRequestItem": {
                    "pspReference": str(number),
                    "merchantAccountCode": "M",
                    "merchantReference": "R",
                    "amount": {"value": 1130, "currency": "EUR"},
                    "eventCode": "AUTHORISATION",
                    "success": "true",
                    "additionalData": {"hmacSignature": base64_hmac(content, bytes.fromhex(ADYEN_KEY))},
                }
            }
        )
    body = json.dumps({"live": "false", "notificationItems": items}).encode()
    for _ in range(2):
        assert_text(post(house, "adyen", body), "[accepted]")
    assert stored(house) == 2

    items[1]["NotificationRequestItem"]["success"] = "false"
    forged = json.dumps({"live": "false", "notificationItems": items}).encode()
    assert_problem(post(house, "adyen", forged), 401, "signature_invalid")
    assert stored(house) == 2


def test_microsoft_graph_sends_several_events(house: System) -> None:
    items = [{"id": f"e{number}", "clientState": SECRET, "changeType": "updated"} for number in range(2)]
    body = json.dumps({"value": items}).encode()
    first, again = [post(house, "microsoft-graph", body) for _ in range(2)]
    assert_recorded(first, again, 2, house)
