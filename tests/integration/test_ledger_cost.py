"""What one job costs the server (design, "The ledger"): at most 16 commands and 2 KB beside its payload."""

from itertools import count

import pytest

from infra.ledger import keys
from infra.ledger.records import Arrival, Settlement
from tests.conftest import Store
from tests.integration.ledger_bench import CALLBACK_URL, FINISHED, HANDLER, LEASE, QUEUES, Bench, arrival, on

MOST_COMMANDS = 16
MOST_BYTES = 2048
BODY = b'{"meeting":"' + b"x" * 86 + b'"}'
WORKER = "web-7f9c4d.1234.h5x9k2"
NOT_OF_JOBS = {"cmdstat_evalsha", "cmdstat_eval", "cmdstat_info", "cmdstat_config|resetstat"}

pytestmark = pytest.mark.needs_server
numbers = count()


def meeting(**changes: str) -> Arrival:
    return arrival(
        source="fireflies", type="meeting.summarized", queue="high", body=BODY, metadata={},
        provider_event_id=f"01JD3Z{next(numbers):08d}", **changes,
    )  # fmt: skip


async def run(bench: Bench, jobs: int, **changes: str) -> None:
    """Accept and finish jobs, a hundred a turn, as a busy worker does."""
    for _ in range(jobs // 100):
        await bench.accept(*(meeting(**changes) for _ in range(100)))
    while claims := await bench.ledger.jobs.claim(
        WORKER, sequence=next(bench.sequences), slots=100, queues=QUEUES, lease=LEASE
    ):
        await bench.ledger.jobs.settle(
            WORKER,
            [Settlement(claim=claim, outcome=FINISHED, handler=HANDLER, max_attempts=5) for claim in claims],
        )


async def commands(bench: Bench) -> int:
    """How many commands the server ran for jobs."""
    stats = await bench.client.info("commandstats")
    return sum(told["calls"] for name, told in stats.items() if name not in NOT_OF_JOBS)


@pytest.mark.parametrize(("callback_url", "most"), [(None, MOST_COMMANDS), (CALLBACK_URL, MOST_COMMANDS + 4)])
def test_a_finished_job_takes_few_commands(valkey_store: Store, callback_url: str | None, most: int) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.renew(WORKER)
        await bench.client.config_resetstat()
        await run(bench, 1000, **({} if callback_url is None else {"callback_url": callback_url}))
        assert await commands(bench) / 1000 <= most

    on(valkey_store, scenario)


@pytest.mark.slow
def test_a_finished_job_takes_little_memory(valkey_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        async def used() -> int:
            return int((await bench.client.info("memory"))["used_memory"])

        assert len(BODY) == 100
        await bench.renew(WORKER)
        await run(bench, 2000)  # what is bounded is full from here on: the live stream, the buffers
        before = await used()
        await run(bench, 20_000)
        assert (await used() - before) / 20_000 - len(BODY) <= MOST_BYTES
        assert await bench.client.zcard(keys.JOBS) == 22_000

    on(valkey_store, scenario)
