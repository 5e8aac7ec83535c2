"""``hookline dead``: the dead letters, jobs and callbacks that were given up."""

from datetime import datetime

import click

from infra.cli.callbacks import show_callback
from infra.cli.jobs import show_job
from infra.cli.looking import NotFound, look
from infra.cli.tables import print_json, print_table, relative
from infra.ids import CALLBACK, is_id
from infra.ledger import Ledger
from infra.ledger.lists import Filter, gather
from infra.ledger.records import CallbackStatus, JobRecord, JobStatus


@click.group(name="dead")
def command() -> None:
    """Look at what was given up."""


@command.command(name="list")
@click.option("--source", help="Only of this source.")
@click.option(
    "--limit",
    default=20,
    show_default=True,
    type=click.IntRange(1, 1000),
    help="At most so many of each kind.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def list_dead(source: str | None, limit: int, as_json: bool) -> None:
    """Jobs that failed, and callbacks that no receiver took; the newest of each first."""
    from ingest.views import called_view, listed_job_view

    async def read(ledger: Ledger) -> tuple[list[JobRecord], list[JobRecord], datetime]:
        failed = await gather(ledger.lists.jobs, Filter(status=JobStatus.FAILED, source=source), limit)
        called = await gather(
            ledger.lists.callbacks, Filter(status=CallbackStatus.DEAD, source=source), limit
        )
        return failed.items, called.items, await ledger.reading.now()

    failed, called, now = look(read)
    if as_json:
        jobs = [{"kind": "job", **listed_job_view(job)} for job in failed]
        print_json({"items": [*jobs, *({"kind": "callback", **called_view(job)} for job in called)]})
    elif failed or called:
        rows = [*(_job_row(job, now) for job in failed), *(_callback_row(job, now) for job in called)]
        print_table(("dead", "source", "type", "ended", "because"), rows)
    else:
        click.echo("no dead letters")


@command.command(name="show")
@click.argument("dead_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="One JSON document, as the API answers.")
@click.pass_context
def show_dead(context: click.Context, dead_id: str, as_json: bool) -> None:
    """One dead letter: a job that failed, or a callback that no receiver took."""

    async def is_dead(ledger: Ledger) -> bool:
        if is_id(dead_id, CALLBACK):
            (called,) = await ledger.reading.called([dead_id], lean=True)
            callback = None if called is None else called.callback
            return callback is not None and callback.status is CallbackStatus.DEAD
        job = await ledger.reading.job(dead_id)
        return job is not None and job.status is JobStatus.FAILED

    if not look(is_dead):
        raise NotFound(f"no dead letter {dead_id}")
    if is_id(dead_id, CALLBACK):
        context.invoke(show_callback, callback_id=dead_id, as_json=as_json)
    else:
        context.invoke(show_job, job_id=dead_id, as_json=as_json)


def _job_row(job: JobRecord, now: datetime) -> tuple[str, ...]:
    because = "" if job.error is None else f"{job.error.type}: {job.error.message}".split("\n", maxsplit=1)[0]
    return job.id, job.source, job.type, relative(job.ended_at, now), because


def _callback_row(job: JobRecord, now: datetime) -> tuple[str, ...]:
    callback = job.callback
    if callback is None:
        return job.id, job.source, job.type, "", ""
    last = callback.attempts[-1].at if callback.attempts else callback.created_at
    return callback.id, job.source, job.type, relative(last, now), callback.reason or ""
