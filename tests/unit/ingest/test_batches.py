"""Bodies of several events, from the request to what stands in Redis then."""

import asyncio
import json
from base64 import b64encode
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from infra.expressions import Document
from infra.ledger import LedgerError, keys
from infra.ledger.records import Arrival, Claim, Receipt
from infra.settings import Settings, SettingsError
from infra.signatures import providers
from ingest.batches import AT_ONCE, MOST_EVENTS, events_of
from ingest.recorder import Recorder
from ingest.sources import load_sources
from tests.unit.ingest.application import House, assert_problem, running

_KEY = generate_private_key(SECP256R1()).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
SECRETS = {
    "sendgrid": b64encode(_KEY).decode(),
    "hubspot": "hubspot-client-secret",
    "line": "line-channel-secret",
    "adyen": "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056",
    "microsoft-graph": "a-client-state",
}
SOURCES = "".join(f"[{name}]\n" for name in SECRETS) + "[platform]\nprovider = 'adyen'\nscheme = 'header'\n"
BATCHED = sorted(name for name, provider in providers().items() if provider.batch)


def item_of(provider: str, number: int) -> tuple[dict[str, Any], str]:
    """An event as the provider documents it, and its type."""
    match provider:
        case "sendgrid":
            return {"email": "a@example.com", "event": "processed", "sg_event_id": f"e{number}"}, "processed"
        case "hubspot":
            return {
                "eventId": number, "subscriptionId": 7, "occurredAt": 1760000000000, "portalId": 1,
                "subscriptionType": "contact.creation",
            }, "contact.creation"  # fmt: skip
        case "line":
            return {"type": "message", "webhookEventId": f"e{number}", "mode": "active"}, "message"
        case "adyen":
            item = {
                "pspReference": f"7914{number}", "merchantAccountCode": "TestMerchant", "merchantReference": "R",
                "amount": {"value": 1130, "currency": "EUR"}, "eventCode": "AUTHORISATION", "success": "true",
            }  # fmt: skip
            return {"NotificationRequestItem": item}, "AUTHORISATION"
        case _:
            return {"id": f"e{number}", "subscriptionId": "s", "changeType": "updated"}, "updated"


def body_of(provider: str, items: Sequence[Any]) -> bytes:
    """The body that brings them."""
    batch = providers()[provider].batch
    assert batch is not None
    member = batch.items.removeprefix("$").removeprefix(".")
    return json.dumps({"destination": "d", member: items} if member else items).encode()


async def send(house: House, source: str, body: bytes) -> httpx.Response:
    """Send a body, signed as its source wants it."""
    scheme, secrets = house.sources[source].scheme, house.sources[source].secrets
    url = f"https://hooks.example.com/hooks/{source}"
    signed = scheme.sign_request(body, secrets, now=house.clock.now(), url=url)
    headers = {"Content-Type": "application/json", **signed.headers}
    return await house.http.post(f"/hooks/{source}", content=signed.body, headers=headers)


def events(house: House) -> list[str]:
    """The events that are stored."""
    return [key for key in house.stored() if key.startswith(keys.EVENT)]


class Steps:
    """What a recorder was given, step by step; from the step `cut` on it confirms nothing."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sizes: list[int] = []
        self.cut: int | None = None
        record = Recorder.record

        async def counted(recorder: Recorder, arrivals: Sequence[Arrival]) -> list[Receipt]:
            if self.cut is not None and len(self.sizes) >= self.cut:
                raise LedgerError("cut")
            self.sizes.append(len(arrivals))
            return await record(recorder, arrivals)

        monkeypatch.setattr(Recorder, "record", counted)


async def claims(house: House) -> list[Claim]:
    """A worker takes every job that waits."""
    claims = await house.ledger.jobs.claim(
        "w1", sequence=1, slots=10, queues=["default"], lease=timedelta(minutes=1)
    )
    return list(claims)


@pytest.mark.parametrize("provider", BATCHED)
def test_each_item_is_an_event_of_its_own(provider: str) -> None:
    async def check() -> None:
        async with running(sources=SOURCES, secrets=SECRETS) as house:
            items = [item_of(provider, number) for number in range(3)]
            answer = await send(house, provider, body_of(provider, [item for item, _ in items]))
            assert answer.status_code == (200 if provider == "adyen" else 202), answer.text
            assert len(events(house)) == 3
            claimed = await claims(house)
            assert [claim.type for claim in claimed] == [type_ for _, type_ in items]
            assert len({claim.provider_event_id for claim in claimed}) == 3
            for claim, (item, _) in zip(claimed, items, strict=True):
                assert _id_of(json.loads(claim.body)) == _id_of(item)

    asyncio.run(check())


def _id_of(item: dict[str, Any]) -> Any:
    inner = item.get("NotificationRequestItem", item)
    return next(
        inner[key]
        for key in ("sg_event_id", "eventId", "webhookEventId", "pspReference", "id")
        if key in inner
    )


@pytest.mark.parametrize("provider", BATCHED)
def test_an_item_that_came_before_is_a_duplicate_and_the_others_are_not(provider: str) -> None:
    async def check() -> None:
        async with running(sources=SOURCES, secrets=SECRETS) as house:
            items = [item_of(provider, number)[0] for number in range(4)]
            await send(house, provider, body_of(provider, items[:2]))
            mixed = await send(house, provider, body_of(provider, items[1:]))
            again = await send(house, provider, body_of(provider, items[1:]))
            assert len(events(house)) == 4
            if provider == "adyen":
                assert (mixed.text, again.text) == ("[accepted]", "[accepted]")
            else:
                assert (mixed.status_code, again.status_code) == (202, 200)
                told = mixed.json()["events"]
                assert [each["duplicate"] for each in told] == [True, False, False]
                assert [each.keys() for each in told] == [{"event_id", "job_id", "duplicate"}] * 3
                assert {each["event_id"] for each in again.json()["events"]} == {
                    each["event_id"] for each in told
                }

    asyncio.run(check())


def test_an_event_is_stored_as_it_stood_in_the_body() -> None:
    async def check() -> None:
        async with running(sources=SOURCES, secrets=SECRETS) as house:
            item = b'{"sg_event_id" : "a",  "text":"\\u00e9 \xc3\xa9", "n": 1.50}'
            await send(house, "sendgrid", b"[ " + item + b' ,{"sg_event_id":"b"}]\r\n')
            assert (await claims(house))[0].body == item

    asyncio.run(check())


def test_items_without_an_id_are_told_apart_by_their_place_in_what_was_signed() -> None:
    async def check() -> None:
        async with running(sources=SOURCES, secrets=SECRETS) as house:
            body = body_of("line", [{"type": "message"}, {"type": "message"}])
            first, again = [await send(house, "line", body) for _ in range(2)]
            assert (first.status_code, again.status_code) == (202, 200)
            assert len(events(house)) == 2

    asyncio.run(check())


def test_a_static_key_without_ids_tells_nothing_apart() -> None:
    async def check() -> None:
        async with running(sources=SOURCES, secrets=SECRETS) as house:
            body = body_of("microsoft-graph", [{"changeType": "updated"}, {"changeType": "updated"}])
            for _ in range(2):
                assert (await send(house, "microsoft-graph", body)).status_code == 202
            assert len(events(house)) == 4

    asyncio.run(check())


def test_a_list_of_nothing_is_taken_and_leaves_nothing() -> None:
    async def check() -> None:
        async with running(sources=SOURCES, secrets=SECRETS) as house:
            answer = await send(house, "line", body_of("line", []))
            assert (answer.status_code, answer.json()) == (200, {"events": []})
            assert house.stored() == set()

    asyncio.run(check())


def test_a_body_without_a_list_is_itself_the_event() -> None:
    async def check() -> None:
        async with running(sources=SOURCES, secrets=SECRETS | {"platform": SECRETS["adyen"]}) as house:
            body = b'{"id": "p1", "type": "merchant.created"}'
            answers = [await send(house, "platform", body) for _ in range(2)]
            assert [answer.text for answer in answers] == ["[accepted]"] * 2
            claim = await house.claim()
            assert (claim.body, claim.type, claim.provider_event_id) == (body, "merchant.created", "p1")
            assert len(events(house)) == 1

    asyncio.run(check())


def test_one_forged_item_refuses_them_all() -> None:
    async def check() -> None:
        async with running(sources=SOURCES, secrets=SECRETS) as house:
            items = [{"id": "e1", "clientState": "a-client-state"}, {"id": "e2", "clientState": "another"}]
            answer = await house.http.post("/hooks/microsoft-graph", json={"value": items})
            assert_problem(answer, 401, "signature_invalid")
            assert house.stored() == set()

    asyncio.run(check())


def test_what_one_step_takes_is_recorded_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    async def check() -> None:
        steps = Steps(monkeypatch)
        async with running(sources=SOURCES, secrets=SECRETS) as house:
            body = body_of("sendgrid", [item_of("sendgrid", number)[0] for number in range(AT_ONCE)])
            steps.cut = 0
            assert_problem(await send(house, "sendgrid", body), 503, "not_recorded")
            assert house.stored() == set()
            steps.cut = None
            assert (await send(house, "sendgrid", body)).status_code == 202
            assert steps.sizes == [AT_ONCE]

    asyncio.run(check())


def test_a_longer_list_that_was_cut_off_is_made_whole_by_the_senders_next_try(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def check() -> None:
        steps = Steps(monkeypatch)
        async with running(sources=SOURCES, secrets=SECRETS) as house:
            body = body_of("hubspot", [item_of("hubspot", number)[0] for number in range(3 * AT_ONCE + 7)])
            steps.cut = 2
            assert_problem(await send(house, "hubspot", body), 503, "not_recorded")
            assert len(events(house)) == 2 * AT_ONCE
            steps.cut = None
            answer = await send(house, "hubspot", body)
            duplicates = [each["duplicate"] for each in answer.json()["events"]]
            assert (answer.status_code, len(duplicates)) == (202, 3 * AT_ONCE + 7)
            assert duplicates.index(False) == 2 * AT_ONCE
            assert len(events(house)) == 3 * AT_ONCE + 7

    asyncio.run(check())


def test_a_list_beyond_the_bound_is_refused() -> None:
    async def check() -> None:
        async with running(sources=SOURCES, secrets=SECRETS) as house:
            answer = await send(house, "line", body_of("line", [{}] * (MOST_EVENTS + 1)))
            assert_problem(answer, 413, "body_too_large")
            assert house.stored() == set()

    asyncio.run(check())


@pytest.mark.parametrize("expression", ["header:X-Request-Id", "Idempotency-Key"])
def test_an_id_that_all_items_share_stops_the_start(expression: str) -> None:
    with pytest.raises(SettingsError, match="SOURCE_LINE_EVENT_ID: is the same for every event"):
        load_sources(
            Settings.load({}),
            {"SOURCE_LINE_SECRET": "s", "SOURCE_LINE_EVENT_ID": expression},
            read_file=lambda _: "",
        )


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


@given(
    st.lists(json_values, max_size=6),
    st.dictionaries(st.text(max_size=5), json_values, max_size=3),
    st.booleans(),
)
def test_an_item_says_what_it_said_in_the_body(
    items: list[Any], around: dict[str, Any], escaped: bool
) -> None:
    for path, said in (("$", items), ("$.events", around | {"events": items})):
        body = json.dumps(said, ensure_ascii=escaped, indent=1).encode("utf-8", "surrogatepass")
        found = events_of(path, Document(headers={}, body=body))
        assert found is not None
        assert [json.loads(item) for item in found] == items
        assert all(item in body for item in found)


@given(json_values)
def test_a_body_with_another_shape_is_no_list(said: Any) -> None:
    document = Document(headers={}, body=json.dumps(said).encode())
    assert (events_of("$", document) is not None) == isinstance(said, list)
    assert events_of("$.a-member-of-a-long-name", document) is None
