"""What is kept of a request that holds: bounded, and without secrets."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.bounds import LONGEST_NAME, MOST_METADATA
from infra.egress import EgressPolicy
from infra.expressions import Document, compile_expression
from infra.ledger.records import DEFAULT_TIMEOUT, Arrival, HandlerEntry
from infra.settings import Settings
from infra.signatures import Headers, SignedRequest
from ingest.arrivals import arrival_of, type_of
from ingest.sources import Source, load_sources
from tests.unit.ingest.application import NOW

MAKE, GITHUB = load_sources(
    Settings.load({}),
    {"SOURCE_MAKE_SECRET": "hunter2", "SOURCE_GITHUB_SECRET": "hunter2"},
    read_file=lambda _: "",
)


def kept(
    body: Any = b"{}",
    *,
    source: Source = MAKE,
    entry: HandlerEntry | None = None,
    headers: Headers | None = None,
) -> Arrival:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = SignedRequest(headers=headers or Headers(), body=content)
    document = Document(headers=request.headers, body=content)
    return arrival_of(
        source,
        request,
        document,
        type=type_of(source, document),
        entry=entry,
        policy=EgressPolicy(),
        client="203.0.113.7",
        received_at=NOW,
    )


def test_an_event_and_its_job_share_the_part_behind_the_prefix() -> None:
    one, other = kept(), kept()
    assert one.event_id.removeprefix("evt_") == one.job_id.removeprefix("job_")
    assert one.event_id != other.event_id


# -- names -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "type_"),
    [
        ("row.added", "row.added"),
        ("Zeile hinzugefügt", "Zeile hinzugefügt"),
        ("a" * 129, "a" * 128),
        ("a\nb\x00\x1b[31m\x7f", "a\ufffdb\ufffd\ufffd[31m\ufffd"),
        ("\u202egnp.exe", "\ufffdgnp.exe"),
        ("\u2028", "\ufffd"),
        ("", "event"),
        (None, "event"),
        (["a"], "event"),
        (7, "7"),
    ],
)
def test_a_type_is_what_handlers_indices_and_terminals_can_take(sent: Any, type_: str) -> None:
    assert kept({"type": sent}).type == type_


@given(sent=st.text())
def test_whatever_type_is_sent_it_is_short_and_can_be_shown(sent: str) -> None:
    type_ = kept({"type": sent.encode("utf-8", "replace").decode()}).type
    assert 1 <= len(type_) <= LONGEST_NAME
    assert type_.isprintable()


@pytest.mark.parametrize("sent", ["d1", "x" * 128])
def test_an_id_is_kept_as_it_was_sent(sent: str) -> None:
    assert kept(headers=Headers.of({"Idempotency-Key": sent})).provider_event_id == sent


@pytest.mark.parametrize("sent", ["x" * 129, "x" * 1_000_000, "a\nb", "\x00", "\u202e"])
def test_an_id_that_is_long_or_can_not_be_shown_is_kept_as_its_digest(sent: str) -> None:
    source = replace(MAKE, event_id=compile_expression("json:$.id"))
    one, same, other = (
        kept({"id": text}, source=source).provider_event_id for text in (sent, sent, sent + "x")
    )
    assert one == same != other
    assert one is not None
    assert (one[:10], len(one)) == ("id-sha256:", 74)


def test_without_an_id_a_signed_request_goes_by_what_was_signed() -> None:
    one, same, other = (kept(body, source=GITHUB).provider_event_id for body in (b"{}", b"{}", b"[]"))
    assert one == same != other
    assert kept(source=MAKE).provider_event_id is None


# -- the handler's line in the manifest --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "queue"),
    [
        (None, "default"),
        (HandlerEntry(source="make", type="*", handler="h"), "default"),
        (HandlerEntry(source="make", type="*", handler="h", queue="high"), "high"),
    ],
)
def test_the_handler_names_the_queue_or_the_source_does(entry: HandlerEntry | None, queue: str) -> None:
    arrival = kept(entry=entry)
    assert (arrival.queue, arrival.timeout) == (queue, DEFAULT_TIMEOUT)


@pytest.mark.parametrize(
    ("body", "wait_key"),
    [
        ({"payment": {"id": "pay_1"}}, "pay_1"),
        ({"payment": {}}, None),
        (b"no JSON", None),
        (
            {"payment": {"id": "x" * 129}},
            "id-sha256:0ec9eb33e74510bcdd1f2ea55206e82f21649c5c2becbf2b433eb475b34c01bd",
        ),
    ],
)
def test_a_wait_key_stands_where_the_source_says(body: Any, wait_key: str | None) -> None:
    source = replace(MAKE, wait_key=compile_expression("json:$.payment.id"))

    assert kept(body, source=source).wait_key == wait_key


def test_the_handler_says_where_the_ordering_key_stands() -> None:
    entry = HandlerEntry(source="make", type="*", handler="m:f", ordering_key="json:$.order")

    assert kept({"order": 7}, entry=entry).ordering_key == "7"
    assert kept({}, entry=entry).ordering_key is None
    assert kept({"order": 7}).ordering_key is None


# -- headers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "Proxy-Authorization",
        "Cookie",
        "Set-Cookie",
        "X-Make-ApiKey",
        "X-Api-Key",
        "X-Gitlab-Token",
        "X-Client-Secret",
        "X-Password",
    ],
)
def test_a_header_that_could_be_a_secret_is_not_kept(name: str) -> None:
    assert kept(headers=Headers.of({name: "something"})).headers == {name.lower(): "***"}


def test_a_secret_of_the_source_is_not_kept_wherever_it_was_put() -> None:
    arrival = kept(headers=Headers.of({"X-Odd": "key=hunter2;", "X-Fine": "hunter3"}))
    assert arrival.headers == {"x-odd": "***", "x-fine": "hunter3"}


def test_other_headers_are_kept_as_text_whatever_their_bytes() -> None:
    arrival = kept(headers=Headers([(b"x-a", b"\xff\x00"), (b"X-B", b"1"), (b"x-b", b"2")]))
    assert arrival.headers == {"x-a": "\xff\x00", "x-b": "1, 2"}


# -- what is echoed ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "metadata"),
    [
        ({"metadata": {"a": [1]}}, {"a": [1]}),
        ({"client_reference_id": "r"}, {"client_reference_id": "r"}),
        ({"clientReferenceId": 7}, {"client_reference_id": 7}),
        ({"metadata": {"a": 1}, "client_reference_id": "r"}, {"a": 1, "client_reference_id": "r"}),
        ({"metadata": ["a"], "client_reference_id": {"a": 1}}, {}),
        ({"metadata": None}, {}),
        ([1], {}),
        (b"", {}),
        (b"payload=%7B%7D", {}),
        (b"\xff", {}),
        (b'{"metadata":{"a":"\\ud800"}}', {}),
        ({"metadata": {"a": "x" * (MOST_METADATA - 9)}}, {"a": "x" * (MOST_METADATA - 9)}),
        ({"metadata": {"a": "x" * (MOST_METADATA - 8)}}, {}),
    ],
)
def test_metadata_is_echoed_where_there_is_some_and_not_too_much(body: Any, metadata: dict[str, Any]) -> None:
    assert kept(body).metadata == metadata


def test_a_body_that_nobody_vouches_for_is_not_echoed() -> None:
    (loose,) = load_sources(
        Settings.load({}),
        {"SOURCE_LOOSE_SECRET": "s"},
        read_file=lambda _: (
            '[loose]\nprovider="hmac"\nheader="X-S"\nsigned="{timestamp}"\ntimestamp_header="X-T"'
        ),
    )
    assert kept({"metadata": {"a": 1}}, source=loose).metadata == {}


# -- callbacks ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    ["http://10.0.0.1/", "nonsense", "https://a.example/" + "x" * 3000, "\x00", "https://a.example/#x", "ä"],
)
def test_a_url_that_may_not_be_called_is_kept_for_the_operator_to_see(url: str) -> None:
    arrival = kept({"cb": url}, source=replace(MAKE, callback_url=compile_expression("json:$.cb")))
    assert arrival.callback_refusal
    assert arrival.callback_url is not None
    assert arrival.callback_url.rstrip("…") == url[:2048]
    assert len(arrival.callback_url) <= 2049


def test_a_url_that_may_be_called_has_no_refusal() -> None:
    arrival = kept(
        {"cb": "https://a.example/"}, source=replace(MAKE, callback_url=compile_expression("json:$.cb"))
    )
    assert (arrival.callback_url, arrival.callback_refusal) == ("https://a.example/", None)
    assert (
        kept({"cb": 7.5}, source=replace(MAKE, callback_url=compile_expression("json:$.cb"))).callback_url
        is None
    )
