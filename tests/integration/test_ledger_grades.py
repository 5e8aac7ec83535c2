"""The grades of receivers: one check at a time, and its outcome for all."""

from datetime import timedelta

from infra.ledger import keys
from infra.ledger.grades import CHECK_LASTS, Grade, Probe
from infra.ledger.receivers import receiver_id
from tests.conftest import Store
from tests.integration.ledger_bench import Bench, on

URL = "https://example.com/inbox?job=1"
ID = receiver_id(URL)
GOOD = Probe("good", "204", "A", "takes a signed callback")


async def grade(bench: Bench) -> Grade:
    (found,) = await bench.ledger.grades.of([ID])
    return found


def test_a_check_that_runs_is_not_begun_again_and_its_end_is_kept(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        assert await grade(bench) == Grade()
        assert await bench.ledger.grades.begin(URL)
        assert not await bench.ledger.grades.begin(URL.partition("?")[0])
        assert (await grade(bench)).checking_since is not None
        await bench.ledger.grades.note(URL, "C", [GOOD, Probe("stale", "204", "C", "x" * 1000)])
        found = await grade(bench)
        assert (found.grade, found.checking_since) == ("C", None)
        assert found.graded_at is not None
        assert (found.probes[0], len(found.probes[1].words)) == (GOOD, 300)
        assert await bench.ledger.grades.begin(URL)

    on(ledger_store, scenario)


def test_a_check_that_was_lost_is_not_waited_for(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.ledger.grades.begin(URL)
        begun = int(await bench.client.hget(keys.RECEIVER + ID, "checking"))
        late = begun - CHECK_LASTS // timedelta(milliseconds=1)
        await bench.client.hset(keys.RECEIVER + ID, "checking", str(late))
        assert (await grade(bench)).checking_since is None
        assert await bench.ledger.grades.begin(URL)

    on(ledger_store, scenario)


def test_who_was_checked_is_known_as_a_receiver_and_stays_what_it_was(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.ledger.grades.note(URL, "A", [GOOD])
        (known,) = await bench.ledger.receivers.newest()
        assert (known.id, known.url, known.status) == (ID, "https://example.com/inbox", "active")
        await bench.ledger.pausing.pause(URL)
        await bench.ledger.grades.note(URL, "B", [GOOD])
        (known,) = await bench.ledger.receivers.newest()
        assert known.status == "paused"
        assert (await grade(bench)).grade == "B"

    on(ledger_store, scenario)


def test_what_can_not_be_read_is_no_grade(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        for spoilt in ("[", "[[1]]", '{"a": 1}', "\xff"):
            await bench.client.hset(
                keys.RECEIVER + ID,
                mapping={"grade": "ABC", "graded": "soon", "probes": spoilt, "checking": "x"},
            )
            assert await grade(bench) == Grade(grade="A")

    on(ledger_store, scenario)
