"""How long a handler's attempts took lately, read off what is kept of them anyway."""

from datetime import timedelta
from statistics import median
from typing import Final

from infra.ledger import keys
from infra.ledger.kept import mapping
from infra.ledger.parsing import attempt_record, text
from infra.ledger.reading import Reading
from infra.ledger.records import JobRecord
from infra.ledger.wire import plain

LOOKED_AT: Final = 50  # jobs of its kind, and as many of those that its queue finished last


class Durations(Reading):
    """Durations. Everything here raises `LedgerError` where Redis does not answer."""

    async def usual(self, job: JobRecord, handler: str) -> timedelta | None:
        """How long the handler's attempts took that finished lately, such that half of them took longer; None without any.

        They are looked for among the newest jobs of this job's kind, and, where many of those still wait, among the jobs
        that its queue finished last.
        """
        newest = ("0", str(LOOKED_AT - 1), "REV")
        pages = await self._fetch([
            ("ZRANGE", f"{keys.JOBS_OF}{job.source}:{plain(job.type)}", *newest),
            ("ZRANGE", keys.FINISHED + plain(job.queue), *newest),
        ])  # fmt: skip
        ids = dict.fromkeys(text(job_id) for page in pages for job_id in page or [])
        last = await self._fetch(
            [("XREVRANGE", keys.RESULTS + job_id, "+", "-", "COUNT", "1") for job_id in ids]
        )
        took = []
        for (entry_id, flat), *_ in filter(None, last):
            entry = mapping(flat)
            attempt = attempt_record(entry_id, entry)
            if attempt.outcome == "finished" and text(entry.get(b"handler")) == handler:
                took.append((attempt.ended_at - attempt.started_at).total_seconds())
        return timedelta(seconds=median(took)) if took else None
