"""``hookline jobs retry`` and ``hookline events replay``: run again what was run before."""

from datetime import UTC, datetime
from typing import BinaryIO

import click

from infra.cli.looking import BY, NotFound, live_entries, look
from infra.edited import edited_replay
from infra.ids import JOB, new_suffix
from infra.ledger import Ledger
from infra.ledger.steering import Verdict
from infra.routes import entry_for
from infra.strict_json import StrictJSONError, loads
from infra.submission import SubmissionError, read_queue


@click.command(name="retry")
@click.argument("job_id", metavar="ID")
def retry_job(job_id: str) -> None:
    """Queue a failed job again, now, in a new round."""

    async def retry(ledger: Ledger) -> Verdict:
        job = await ledger.reading.job(job_id)
        return Verdict.MISSING if job is None else await ledger.steering.retry(job, by=BY)

    verdict = look(retry)
    if verdict is Verdict.MISSING:
        raise NotFound(f"no job {job_id}")
    if verdict is Verdict.NOT_FAILED:
        raise click.ClickException(f"{job_id} has not failed")
    if verdict is Verdict.SPENT:
        raise click.ClickException(f"{job_id} was retried too often")
    click.echo(f"{job_id} queued")


@click.command(name="replay")
@click.argument("event_id", metavar="ID")
@click.option("--payload", type=click.File("rb"), help="Another payload, a file of JSON: makes a new event.")
@click.option("--queue", help="Where its job goes.")
def replay_event(event_id: str, payload: BinaryIO | None, queue: str | None) -> None:
    """Make a new job of an old event; or, with another payload, a new event that names the old one."""
    try:
        read_queue(queue)
        edited = None if payload is None else (loads(payload.read()),)
    except SubmissionError as error:
        raise click.UsageError(f"--queue: {error.words}") from None
    except StrictJSONError as error:
        raise click.ClickException(f"the payload is no JSON: {error}") from None

    async def replay(ledger: Ledger) -> str:
        event = await ledger.steering.event(event_id)
        origin = None if event is None else await ledger.steering.origin(event_id, event.jobs)
        if event is None or origin is None:
            raise NotFound(f"no event {event_id}")
        entry = entry_for(await live_entries(ledger), event.source, event.type)
        if edited is not None:
            arrival = edited_replay(
                event, origin, *edited, entry=entry, queue=queue, now=datetime.now(UTC), accepted_by=BY
            )
            await ledger.events.accept([arrival])
            return f"{arrival.event_id} {arrival.job_id}"
        job_id = JOB + new_suffix()
        if await ledger.steering.replay(origin, job_id, by=BY, queue=queue, entry=entry) is Verdict.SPENT:
            raise click.ClickException(f"{event_id} was replayed too often")
        return f"{event_id} {job_id}"

    click.echo(f"{look(replay)} queued")
