"""What the console keeps in the ledger: deeds, sessions that were ended, and the pulse of its charts."""

from datetime import timedelta

import pytest

from infra.ledger import desk, keys
from infra.ledger.measures import Pulse
from tests.conftest import Store
from tests.integration.ledger_bench import Bench, arrival, on


def test_deeds_are_told_newest_first_and_are_bounded(
    ledger_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "AUDIT_KEPT", 2)

    async def scenario(bench: Bench) -> None:
        for number in range(3):
            await bench.ledger.desk.note(by="ada", act="retry", on=f"job_{number}", client="203.0.113.7")
        assert [(deed.by, deed.act, deed.on) for deed in await bench.ledger.desk.deeds()] == [
            ("ada", "retry", "job_2"),
            ("ada", "retry", "job_1"),
        ]

    on(ledger_store, scenario)


def test_a_line_that_can_not_be_read_hides_no_other(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.client.lpush(keys.AUDIT, "no JSON", "[]", '{"at":"soon"}')
        await bench.ledger.desk.note(by="ada", act="retry", on="job_1", client="")
        assert len(await bench.ledger.desk.deeds()) == 1

    on(ledger_store, scenario)


def test_a_session_that_was_ended_is_remembered_for_as_long_as_it_could_live(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.ledger.desk.sign_out("old", remembered=timedelta(0))
        await bench.ledger.desk.sign_out("new", remembered=timedelta(hours=1))
        assert [await bench.ledger.desk.is_signed_out(one) for one in ("old", "new", "other")] == [
            False,
            True,
            False,
        ]

    on(ledger_store, scenario)


def test_what_is_counted_is_of_its_minute_and_of_its_hour(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.accept(arrival(), arrival())
        await bench.ledger.measures.add("one", 0, {}, Pulse(received=2, finished=1))
        await bench.ledger.measures.add("one", 0, {}, Pulse(received=2, finished=1))
        await bench.ledger.measures.add("two", 0, {}, Pulse(failed=3))

        minutes, hours = await bench.ledger.measures.minutes(), await bench.ledger.measures.hours()

        assert (len(minutes), len(hours)) == (60, 168)
        for found in (minutes, hours):
            told = [one for one in found if one.open is not None]
            assert [sum(one[place] for one in told) for place in range(3)] == [2, 1, 3]
            assert {one.open for one in told} == {2}

    on(ledger_store, scenario)


def test_a_pulse_that_is_none_reads_as_nought(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.ledger.measures.add("one", 0, {}, Pulse(received=2))
        for key in await bench.client.keys(keys.PULSE + "*"):
            await bench.client.delete(key)
            await bench.client.set(key, "no hash")
        assert set(await bench.ledger.measures.minutes()) == {Pulse()}

    on(ledger_store, scenario)
