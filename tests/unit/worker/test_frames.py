"""What a worker and its children say reaches the other side whole, or is refused."""

import asyncio
import socket
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.ledger.records import Claim, ErrorInfo, Failed, Finished, Outcome, Progress, Retried, Waiting
from infra.submission import Submission
from worker.frames import (
    Answered,
    Asked,
    Attempt,
    Ended,
    Enqueue,
    Keep,
    Kept,
    Logged,
    LookFor,
    Message,
    Progressed,
    Ready,
    Refusal,
    Setup,
    packed,
    read,
    receive,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
MOMENTS = st.datetimes(timezones=st.just(UTC))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=5,
)
ERRORS = st.builds(ErrorInfo, type=TEXT, message=TEXT, trace=TEXT)
OUTCOMES = (
    st.builds(Finished, result=TEXT)
    | st.builds(Failed, error=ERRORS)
    | st.builds(Retried, delay=st.timedeltas(timedelta(0), timedelta(days=365)), error=ERRORS)
    | st.builds(Waiting, source=TEXT, key=TEXT, until=MOMENTS)
)
CLAIMS = st.builds(
    Claim,
    **dict.fromkeys(["job_id", "event_id", "token", "queue", "source", "type", "content_type"], TEXT),
    **dict.fromkeys(["claimed_at", "created_at", "received_at"], MOMENTS),
    headers=st.dictionaries(TEXT, TEXT),
    metadata=st.dictionaries(TEXT, JSON),
)


async def read_all(data: bytes) -> list[Message]:
    stream = asyncio.StreamReader()
    stream.feed_data(data)
    stream.feed_eof()
    said = []
    while not stream.at_eof():
        said.append(await read(stream))
    return said


@given(CLAIMS)
def test_a_claim_reaches_the_child_as_it_is(claim: Claim) -> None:
    assert asyncio.run(read_all(packed(Attempt(claim)))) == [Attempt(claim)]


@given(OUTCOMES)
def test_an_outcome_reaches_the_worker_as_it_is(outcome: Outcome) -> None:
    (said,) = asyncio.run(read_all(packed(Ended.by(outcome))))

    assert isinstance(said, Ended)
    assert said.outcome == outcome


def test_messages_that_follow_each_other_stay_apart() -> None:
    said: list[Message] = [
        Setup(modules=("a",), path=("", "/x"), secrets=("s",), allow=("127.0.0.0/8",), ports=(443,)),
        Ready(),
        Progressed("job_1", Progress(current=1, total=None, item="naïve")),
        Logged("job_1", "info", "two\nlines"),
        Asked(1, Kept()),
        Asked(2, Keep("step:naïve", '{"a":1}')),
        Asked(
            3,
            Enqueue(
                Submission(type="t", payload={"n": 10**25}, run_at=datetime(2026, 11, 21, tzinfo=UTC)), "#1"
            ),
        ),
        Asked(4, LookFor("acme", "pay_1", None)),
        Answered(3, msgspec.Raw(b'"job_1"')),
        Answered(4, error=Refusal("LedgerError", "Redis did not answer")),
    ]

    assert asyncio.run(read_all(b"".join(map(packed, said)))) == said
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(b"".join(map(packed, said)))
        assert [receive(theirs) for _ in said] == said


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", EOFError),
        (b"\0\0", EOFError),
        (b"\0\0\0\5{", EOFError),
        (b"\0\0\0\2{}", ValueError),
        (b"\0\0\0\2\xff\xff", ValueError),
        (b"\0\0\0\21" + b'{"type":"Gossip"}', ValueError),
        (b"HTTP/1.1 200 OK", ValueError),
    ],
)
def test_what_neither_side_says_is_refused(data: bytes, error: type[Exception]) -> None:
    async def main() -> Any:
        stream = asyncio.StreamReader()
        stream.feed_data(data)
        stream.feed_eof()
        return await read(stream)

    with pytest.raises(error):
        asyncio.run(main())
