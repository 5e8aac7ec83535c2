"""The stand-in for Make: what its custom webhooks answer, and what its scenario gets."""

import asyncio
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from infra.cli.standins.make import Bundle, MakeStandIn
from infra.clock import ManualClock

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
ACCEPTED = (200, "Accepted")


def posted(make: MakeStandIn, *bodies: bytes) -> list[tuple[int, str]]:
    """Status and text of each answer, one after the other."""

    async def main() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app=make.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://hook.example") as http:
            return [
                await http.post("/a-hook", content=body, headers={"Webhook-Id": "cb_1"}) for body in bodies
            ]

    return [(answer.status_code, answer.text) for answer in asyncio.run(main())]


def test_a_bundle_is_accepted_and_the_scenario_gets_it_as_it_came() -> None:
    given: list[Bundle] = []
    assert posted(MakeStandIn(given.append), b'{"a": 1}') == [ACCEPTED]
    (bundle,) = given
    assert (bundle.hook, bundle.headers["webhook-id"], bundle.body) == ("a-hook", "cb_1", b'{"a": 1}')


def test_a_queue_that_is_full_refuses_until_the_scenario_runs() -> None:
    given: list[Bundle] = []
    make = MakeStandIn(given.append, queue=2, running=False)
    assert posted(make, b"1", b"2", b"3") == [ACCEPTED, ACCEPTED, (400, "Queue is full.")]
    assert not given
    make.work()
    assert posted(make, b"4") == [ACCEPTED]
    assert [bundle.body for bundle in given] == [b"1", b"2", b"4"]
    assert make.answers == ["200 Accepted", "200 Accepted", "400 Queue is full.", "200 Accepted"]


def test_more_than_300_within_ten_seconds_are_too_many() -> None:
    clock = ManualClock(NOON)
    make = MakeStandIn(lambda _: None, clock=clock)
    assert posted(make, *[b"{}"] * 300) == [ACCEPTED] * 300
    clock.advance(timedelta(seconds=9.9))
    assert posted(make, b"{}") == [(429, "Too many requests.")]
    clock.advance(timedelta(seconds=0.1))
    assert posted(make, b"{}") == [ACCEPTED]


def test_a_hook_without_a_scenario_is_gone() -> None:
    make = MakeStandIn(lambda _: None)
    make.gone = True
    assert posted(make, b"{}")[0][0] == 410


@pytest.mark.parametrize(("size", "status"), [(5 << 20, 200), ((5 << 20) + 1, 413)])
def test_a_bundle_has_five_mebibytes_at_the_most(size: int, status: int) -> None:
    assert posted(MakeStandIn(lambda _: None), b" " * size)[0][0] == status
