import asyncio
import weakref
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import httpx
import pytest

from handlers.context import LINE_LIMIT, LINES_PER_ATTEMPT, TEXT_LIMIT, Context
from handlers.errors import Waits
from handlers.http_clients import HTTPClients
from handlers.rehearsal import Rehearsal
from handlers.testing import START, RecordedEffects
from infra.clock import ManualClock
from infra.ledger.records import Claim, Progress


def make_claim(**changes: Any) -> Claim:
    return Claim(
        **{
            "job_id": "job_1",
            "event_id": "evt_1",
            "token": "w-1",
            "queue": "default",
            "attempt": 2,
            "crashes": 0,
            "claimed_at": START,
            "created_at": START,
            "source": "acme",
            "type": "order.paid",
            "received_at": START,
            "headers": {"x-id": "7"},
            "content_type": "application/json",
            "body": b'{"id":7}',
            "metadata": {"row": 3},
            **changes,
        }
    )


def make_context(effects: RecordedEffects | None = None, *, loop: Any = None, **changes: Any) -> Context:
    return Context(
        make_claim(**changes),
        effects=effects or RecordedEffects(),
        services=Rehearsal(ManualClock(START)),
        http=HTTPClients(),
        clock=ManualClock(START),
        canceled=lambda: False,
        loop=loop,
    )


def test_a_handler_sees_its_event_and_its_job() -> None:
    context = make_context()

    event = context.event
    assert (event.id, event.source, event.type, event.received_at) == ("evt_1", "acme", "order.paid", START)
    assert (event.headers["x-id"], event.body) == ("7", b'{"id":7}')
    assert (context.job_id, context.attempt, context.metadata) == ("job_1", 2, {"row": 3})
    assert context.payload == {"id": 7}
    assert context.now() == START


def test_a_context_goes_with_its_attempt() -> None:
    """A cycle would leave it, its body and its task to the garbage collector, which then had a twelfth of a worker's time."""
    context = make_context()
    context.log.info("done")
    context.folder.joinpath("draft").touch()

    async def handler(context: Context) -> None:
        await context.step("fetch", dict)
        with pytest.raises(Waits):
            await context.wait_for("acme", "order", "1h")

    asyncio.run(handler(context))
    context.end()

    gone = [weakref.ref(one) for one in (context, context._made, context._opened)]
    del context
    assert [one() for one in gone] == [None] * 3


def test_progress_is_reported_within_bounds() -> None:
    effects = RecordedEffects()

    make_context(effects).progress(1, None, "é" * 1000, stage="up\ud83dload", item="a")

    [report] = effects.reports
    assert (report.current, report.total, report.stage, report.item) == (1, None, "up?load", "a")
    assert len(report.message.encode()) <= TEXT_LIMIT


@pytest.mark.parametrize(("current", "total"), [(float("nan"), 3), (1, float("inf")), (-1, 3), (1, -3)])
def test_progress_that_means_nothing_is_refused(current: float, total: float) -> None:
    effects = RecordedEffects()

    with pytest.raises(ValueError, match="progress needs finite numbers"):
        make_context(effects).progress(current, total)

    assert effects.reports == []


def test_logs_have_levels_and_bounds() -> None:
    effects = RecordedEffects()
    context = make_context(effects)

    context.log.debug("a")
    context.log.info("b %d %s", 1, "%")
    context.log.warning("c\ud83d")
    context.log.error("d" * 10_000)

    assert effects.lines[:3] == [("debug", "a"), ("info", "b 1 %"), ("warning", "c?")]
    assert len(effects.lines[3][1].encode()) <= LINE_LIMIT


def test_a_chatty_handler_is_cut_short_once_even_from_many_threads() -> None:
    effects = RecordedEffects()
    context = make_context(effects)

    with ThreadPoolExecutor(8) as pool:
        for number in range(LINES_PER_ATTEMPT * 3):
            pool.submit(context.log.info, str(number))

    assert len(effects.lines) == LINES_PER_ATTEMPT + 1
    assert sum("the rest is dropped" in text for _, text in effects.lines) == 1


def test_what_is_said_after_the_attempt_is_not_heard() -> None:
    effects = RecordedEffects()
    context = make_context(effects)
    assert not context.canceled

    context.end()
    context.progress(1, 2)
    context.log.info("late")

    assert (effects.reports, effects.lines) == ([], [])
    assert context.canceled


def test_each_kind_of_handler_gets_its_kind_of_client() -> None:
    asynchronous, blocking = make_context().http, make_context(loop=object()).http

    assert isinstance(asynchronous, httpx.AsyncClient)
    assert isinstance(blocking, httpx.Client)
    assert asynchronous.timeout.read is not None
    assert blocking.timeout.read is not None
    blocking.close()


def test_clients_are_shared_and_keep_no_cookies() -> None:
    seen = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("cookie"))
        return httpx.Response(200, headers={"set-cookie": "session=of-one-customer"})

    clients = HTTPClients(blocking=lambda: httpx.Client(transport=httpx.MockTransport(answer)))
    for _ in range(2):
        clients.blocking.get("https://example.com/")

    assert clients.blocking is clients.blocking
    assert seen == [None, None]


def test_progress_is_the_ledgers_value() -> None:
    effects = RecordedEffects()
    make_context(effects).progress(1, 3, "half")

    assert effects.reports == [Progress(current=1, total=3, message="half")]


def test_time_is_the_clocks() -> None:
    clock = ManualClock(START)
    context = make_context()
    context._clock = clock
    clock.advance(timedelta(hours=1))

    assert context.now() == START + timedelta(hours=1)
