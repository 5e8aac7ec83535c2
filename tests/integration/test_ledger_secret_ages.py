"""How old secrets are: noted when they are first seen, as hashes that only our key makes."""

from datetime import timedelta

from infra.clock import unix_milliseconds
from infra.ledger import Ledger, Seal, keys
from infra.ledger.secret_ages import REMEMBERED
from tests.conftest import Store
from tests.integration.ledger_bench import Bench, on

ACME = ("acme", b"a secret")


async def age(bench: Bench, place: int, by: timedelta) -> None:
    """Make a secret older than it is: its first moment, or its last."""
    for name, value in (await bench.client.hgetall(keys.SECRETS)).items():
        moments = value.decode().split()
        moments[place] = str(int(moments[place]) - by // timedelta(milliseconds=1))
        await bench.client.hset(keys.SECRETS, name, " ".join(moments))


def test_a_secret_is_as_old_as_when_it_was_first_seen(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        (first,) = await bench.ledger.secret_ages.note([ACME])
        await age(bench, 0, timedelta(days=400))
        old, new, elsewhere = await bench.ledger.secret_ages.note(
            [ACME, ("acme", b"another"), ("other", b"a secret")]
        )
        assert first - old == timedelta(days=400)
        assert new >= first
        assert elsewhere >= first

    on(ledger_store, scenario)


def test_no_secret_can_be_read_or_guessed_without_the_key(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.ledger.secret_ages.note([ACME])
        kept = str(await bench.client.hgetall(keys.SECRETS))
        assert "secret" not in kept
        assert "acme" not in kept
        await Ledger(bench.client, seal=Seal(["another key"])).secret_ages.note([ACME])
        assert await bench.client.hlen(keys.SECRETS) == 2

    on(ledger_store, scenario)


def test_a_new_key_of_ours_makes_no_secret_young(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await Ledger(bench.client, seal=Seal(["old"])).secret_ages.note([ACME])
        await age(bench, 0, timedelta(days=400))
        for named in (["new", "old"], ["new"]):
            (first,) = await Ledger(bench.client, seal=Seal(named)).secret_ages.note([ACME])
            assert (
                unix_milliseconds(await bench.ledger.reading.now()) - unix_milliseconds(first)
                > 399 * 86_400_000
            )

    on(ledger_store, scenario)


def test_what_nobody_has_any_more_is_forgotten(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.ledger.secret_ages.note([("gone", b"old")])
        await age(bench, 1, REMEMBERED + timedelta(days=1))
        await bench.client.hset(keys.SECRETS, "nonsense", "soon")
        await bench.ledger.secret_ages.note([ACME])
        assert await bench.client.hlen(keys.SECRETS) == 1
        assert await bench.ledger.secret_ages.note([]) == []

    on(ledger_store, scenario)


def test_many_are_noted_in_several_steps(ledger_store: Store) -> None:
    async def scenario(bench: Bench) -> None:
        secrets = [(f"source-{number}", b"secret") for number in range(150)]
        assert len(await bench.ledger.secret_ages.note(secrets)) == 150
        assert await bench.client.hlen(keys.SECRETS) == 150

    on(ledger_store, scenario)
