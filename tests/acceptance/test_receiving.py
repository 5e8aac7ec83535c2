"""``POST /hooks/{source}`` as senders see it (CONTRACT, section 4)."""

import http.client
import json
import uuid
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from standardwebhooks.webhooks import Webhook

from tests.acceptance.builders import (
    ACME_SECRET,
    CALLBACK_SECRET,
    STATIC_KEY,
    System,
    assert_problem,
    by_acme,
    by_stamped,
    hmac_hex,
)
from tests.acceptance.inbox import Inbox

JSON = {"Content-Type": "application/json"}


def echo(**more: Any) -> dict[str, Any]:
    """An event that no other test sends."""
    return {"type": "echo", "unique": uuid.uuid4().hex, **more}


def assert_accepted(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 202, answer.text
    told: dict[str, Any] = answer.json()
    assert told["status"] == "queued"
    assert told["duplicate"] is False
    return told


# -- what is taken -----------------------------------------------------------------------------------------------------


def test_an_event_is_acknowledged_with_its_ids(house: System) -> None:
    told = assert_accepted(house.send(echo()))
    assert told.keys() == {"event_id", "job_id", "status", "duplicate", "status_url"}
    assert told["event_id"].removeprefix("evt_") == told["job_id"].removeprefix("job_")
    house.ended(told["job_id"])


def test_the_same_event_twice_runs_once(house: System) -> None:
    event, delivery = echo(), uuid.uuid4().hex
    first = assert_accepted(house.send(event, delivery=delivery))
    again = house.send(event, delivery=delivery)

    assert again.status_code == 200
    assert again.json()["duplicate"] is True
    assert (again.json()["event_id"], again.json()["job_id"]) == (first["event_id"], first["job_id"])
    house.ended(first["job_id"])
    assert len(house.runs(first["job_id"])) == 1


def test_without_an_id_the_signed_content_tells_events_apart(house: System) -> None:
    body, headers = by_stamped(echo())
    first = house.http.post("/hooks/stamped", content=body, headers=headers)
    again = house.http.post("/hooks/stamped", content=body, headers=headers)
    body, headers = by_stamped(json.loads(body), age=2)
    later = house.http.post("/hooks/stamped", content=body, headers=headers)

    assert [answer.status_code for answer in (first, again, later)] == [202, 200, 202]
    assert again.json()["job_id"] == first.json()["job_id"] != later.json()["job_id"]


def test_the_same_id_with_another_body_is_noted_and_runs_nothing(house: System) -> None:
    """F19: the first event is the one that counts."""
    delivery = uuid.uuid4().hex
    first = assert_accepted(house.send(echo(amount=1), delivery=delivery))
    second = house.send(echo(amount=2), delivery=delivery)

    assert (second.status_code, second.json()["duplicate"]) == (200, True)
    assert second.json()["job_id"] == first["job_id"]
    job = house.ended(first["job_id"])
    assert job["result"]["payload"]["amount"] == 1
    assert len(house.runs(first["job_id"])) == 1


@pytest.mark.parametrize(
    ("source", "key"),
    [("bearer", {"Authorization": f"Bearer {STATIC_KEY}"}), ("intranet", {"X-Api-Key": STATIC_KEY})],
)
def test_a_static_key_knows_duplicates_by_an_idempotency_key_only(
    house: System, source: str, key: dict[str, str]
) -> None:
    content = json.dumps(echo())
    same = [house.http.post(f"/hooks/{source}", content=content, headers=key | JSON) for _ in range(5)]
    named = key | JSON | {"Idempotency-Key": uuid.uuid4().hex}
    once = [house.http.post(f"/hooks/{source}", content=content, headers=named) for _ in range(5)]

    assert len({assert_accepted(answer)["job_id"] for answer in same}) == 5
    assert [answer.status_code for answer in once] == [202, 200, 200, 200, 200]
    assert len({answer.json()["job_id"] for answer in once}) == 1


def test_standard_webhooks_are_taken_as_the_official_library_signs_them(house: System) -> None:
    body, message, now = json.dumps(echo()), f"msg_{uuid.uuid4().hex}", datetime.now(UTC)
    headers = {
        "webhook-id": message,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(CALLBACK_SECRET).sign(message, now, body),
    }
    first = house.http.post("/hooks/billing", content=body, headers=headers)
    again = house.http.post("/hooks/billing", content=body, headers=headers)
    assert (first.status_code, again.status_code) == (202, 200)


def test_prefer_wait_gives_the_job_when_it_ends_in_time(house: System) -> None:
    answer = house.send(echo(), Prefer="wait=10")

    assert answer.status_code == 200
    assert answer.headers["Preference-Applied"] == "wait=10"
    job = answer.json()
    assert (job["status"], job["callback"], job["max_attempts"]) == ("finished", None, 5)
    assert job["result"]["attempt"] == 1


def test_prefer_wait_gives_202_when_the_job_takes_longer(house: System) -> None:
    answer = house.send({"type": "gated", "gate": "prefer"}, Prefer="wait=1")

    assert answer.status_code == 202
    assert answer.headers["Preference-Applied"] == "wait=1"
    assert answer.json()["duplicate"] is False
    house.open_gate("prefer")
    house.ended(answer.json()["job_id"])


def test_an_event_that_no_worker_handles_is_ignored_and_nobody_is_called_back(
    house: System, inbox: Inbox
) -> None:
    told = assert_accepted(house.send(echo(callback_url=inbox.url("ignored")) | {"type": "unknown"}))
    assert house.ended(told["job_id"], "ignored")["callback"] is None
    assert inbox.posts("ignored") == []


# -- callback URLs -----------------------------------------------------------------------------------------------------


def test_a_callback_url_is_taken_from_a_signed_body(house: System, inbox: Inbox) -> None:
    told = assert_accepted(house.send(echo(callback_url=inbox.url("from-body"))))
    (callback,) = inbox.wait_for("from-body")
    assert json.loads(callback.body)["data"]["job_id"] == told["job_id"]


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest",
        "https://10.0.0.1/x",
        "http://example.com/",
        "ftp://example.com/",
        "nonsense",
    ],
)
def test_a_callback_url_that_is_refused_costs_the_callback_alone(house: System, url: str) -> None:
    told = assert_accepted(house.send(echo(callback_url=url)))
    job = house.ended(told["job_id"])
    assert job["callback"]["status"] == "blocked"
    assert job["callback"]["attempts"] == []


def test_a_scheme_that_covers_nothing_gets_no_link(house: System) -> None:
    body, headers = by_stamped(echo())
    headers["X-Acme-Signature"] = hmac_hex(ACME_SECRET, headers["X-Acme-Timestamp"].encode())
    told = assert_accepted(house.http.post("/hooks/loose", content=body, headers=headers))
    assert "status_url" not in told


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "headers"),
    [
        ("acme", {}),
        ("acme", {"X-Acme-Signature": ""}),
        ("acme", {"X-Acme-Signature": "sha256=" + "0" * 64}),
        ("acme", {"X-Acme-Signature": "ÿ not hex at all"}),
        ("acme", {"X-Acme-Signature": hmac_hex("another secret", b'{"type":"echo"}')}),
        ("stamped", {"X-Acme-Signature": hmac_hex(ACME_SECRET, b'{"type":"echo"}')}),
        ("bearer", {}),
        ("bearer", {"Authorization": "Bearer wrong"}),
        ("bearer", {"Authorization": f"Basic {STATIC_KEY}"}),
        ("intranet", {"X-Api-Key": STATIC_KEY.upper()}),
        ("forgotten", {"X-Hub-Signature-256": "sha256=" + hmac_hex("", b'{"type":"echo"}')}),
        ("fireflies", {"X-Hub-Signature": "sha256=" + hmac_hex(ACME_SECRET, b'{"type":"echo"}')}),
    ],
)
def test_every_fault_of_a_signature_gets_the_same_401(
    house: System, source: str, headers: dict[str, str]
) -> None:
    jobs = house.redis.zcard("hookline:jobs")
    answer = house.http.post(
        f"/hooks/{source}",
        content=b'{"type":"echo"}',
        headers=[(name.encode(), value.encode("latin-1")) for name, value in (JSON | headers).items()],
    )
    assert_problem(answer, 401, "signature_invalid")
    assert answer.json().keys() == {"type", "title", "status", "code"}
    assert house.redis.zcard("hookline:jobs") == jobs


@pytest.mark.parametrize("age", [400, -400])
def test_a_timestamp_far_from_now_fails(house: System, age: float) -> None:
    """F72, from the sender's side: stale or future."""
    body, headers = by_stamped(echo(), age=age)
    assert_problem(house.http.post("/hooks/stamped", content=body, headers=headers), 401, "signature_invalid")


@pytest.mark.parametrize("body", [b"", b"{", b'{"a":1}{"b":2}', b"\xff\xfe", b'{"a":NaN}', b"[" * 100_000])
def test_json_that_can_not_be_read_is_400_after_the_signature_held(house: System, body: bytes) -> None:
    content, headers = by_acme(body)
    assert_problem(house.http.post("/hooks/acme", content=content, headers=headers), 400, "body_malformed")


@pytest.mark.parametrize("name", ["nobody", "ACME", "acme%2F..", "acme%00"])
def test_there_is_no_such_source(house: System, name: str) -> None:
    body, headers = by_acme(echo())
    answer = house.http.post(f"/hooks/{name}", content=body, headers=headers)
    assert (answer.status_code, answer.json()["status"]) == (404, 404)
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_only_post_is_taken(house: System, method: str) -> None:
    answer = house.http.request(method, "/hooks/acme")
    assert_problem(answer, 405, "method_not_allowed")
    assert answer.headers["Allow"] == "POST"
    assert "POST" in answer.json()["detail"]


@pytest.mark.parametrize(("source", "size"), [("acme", (1 << 20) + 1), ("narrow", 1025)])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large_is_413(house: System, source: str, size: int, chunked: bool) -> None:
    body = b"x" * size
    headers = {"X-Api-Key": STATIC_KEY, "X-Acme-Signature": hmac_hex(ACME_SECRET, body)}
    content = iter([body[:1000], body[1000:]]) if chunked else body
    assert_problem(
        house.http.post(f"/hooks/{source}", content=content, headers=headers), 413, "body_too_large"
    )


def test_the_largest_body_is_taken(house: System) -> None:
    answer = house.http.post(
        "/hooks/narrow", content=b"x" * 1024, headers={"X-Api-Key": STATIC_KEY, "Content-Type": "text/plain"}
    )
    assert_accepted(answer)


@pytest.mark.parametrize("headers", [{"X-Long": "x" * 20_000}, {f"X-{n}": "x" for n in range(120)}])
def test_headers_that_are_too_large_are_431(house: System, headers: dict[str, str]) -> None:
    body, signed = by_acme(echo())
    answer = house.http.post("/hooks/acme", content=body, headers=signed | headers)
    assert_problem(answer, 431, "headers_too_large")


def test_headers_beyond_the_parsers_bounds_end_the_connection_and_nothing_else(house: System) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", int(house.environ["PORT"]), timeout=10)
    try:
        connection.request("POST", "/hooks/acme", body=b"{}", headers={"X-Long": "x" * 200_000})
        assert connection.getresponse().status in (400, 431)
    except (ConnectionError, http.client.HTTPException):
        pass
    finally:
        connection.close()
    assert_accepted(house.send(echo()))


def test_any_other_address_is_404_as_a_problem(house: System) -> None:
    assert_problem(house.http.get("/nowhere"), 404, "not_found")


def test_probes_say_that_the_process_lives_and_is_ready(house: System) -> None:
    assert house.http.get("/healthz").status_code == 200
    ready = house.http.get("/readyz")
    assert (ready.status_code, ready.json()["reasons"]) == (200, [])


def test_nothing_that_senders_did_was_a_fault_of_ours(house: System) -> None:
    """Runs last in this module: no line of any process tells of an error."""
    for process in house.started:
        assert '"level": "error"' not in process.output()
