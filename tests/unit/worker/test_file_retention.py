"""Old files go, about once an hour, by one of all workers."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from infra.clock import ManualClock
from infra.files import StoreUnavailable
from infra.files.store import FileStore
from infra.ledger import Ledger, LedgerError, Seal
from infra.redis_client import Memory
from worker.file_retention import FileRetention

NOW = datetime(2026, 11, 21, 20, 41, 11, tzinfo=UTC)


def test_files_past_their_retention_go_in_one_workers_turn(tmp_path: Path, fake: Memory) -> None:
    for day in ("2026-10-21", "2026-10-22", "2026-11-21"):
        (tmp_path / day).mkdir()
        (tmp_path / day / "file").write_text("x")
    (tmp_path / "not-a-day").mkdir()
    (tmp_path / "not-a-day" / "file").write_text("x")

    async def check() -> None:
        turns = Ledger(fake.asynchronous, seal=Seal(["key"])).troubles
        store, clock = FileStore(str(tmp_path)), ManualClock(NOW)
        first, second = (
            FileRetention(store, turns, worker=name, keep=timedelta(days=30), clock=clock) for name in "ab"
        )
        await first.turn()
        left = sorted(path.name for path in tmp_path.iterdir() if any(path.iterdir()))
        assert left == ["2026-10-22", "2026-11-21", "not-a-day"]
        clock.advance(timedelta(days=1))
        await second.turn()  # within the hour, by the ledger's clock
        assert (tmp_path / "2026-10-22" / "file").exists()
        await fake.asynchronous.flushall()  # as the hour is over
        await second.turn()
        assert not (tmp_path / "2026-10-22" / "file").exists()
        await fake.asynchronous.aclose()

    asyncio.run(check())


def test_a_redis_or_a_store_that_is_away_does_not_end_the_worker(tmp_path: Path) -> None:
    async def away(*_: Any, **__: Any) -> bool:
        raise LedgerError("away")

    async def ours(*_: Any, **__: Any) -> bool:
        return True

    async def gone(*_: Any) -> int:
        raise StoreUnavailable("gone")

    async def check() -> None:
        for turns, store in ((away, FileStore(str(tmp_path))), (ours, SimpleNamespace(retire=gone))):
            await FileRetention(
                cast("Any", store),
                cast("Any", SimpleNamespace(take_turn=turns)),
                worker="a",
                keep=timedelta(days=30),
                clock=ManualClock(NOW),
            ).turn()

    asyncio.run(check())
