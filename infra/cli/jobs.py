"""``hookline jobs``: look at jobs, cancel them, run them again."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import click

from infra.cli.again import retry_job
from infra.cli.callbacks import print_posts
from infra.cli.looking import BY, NotFound, listing, live_entries, look, narrowing, wanted
from infra.cli.tables import counted, json_text, print_facts, print_json, print_table, relative
from infra.ledger import Ledger
from infra.ledger.canceling import OPEN_STATUSES, OpenJobs
from infra.ledger.lists import Filter, Page, Place, gather
from infra.ledger.records import CallbackRecord, ErrorInfo, HandlerEntry, JobRecord, JobStatus
from infra.routes import entry_for


@click.group(name="jobs")
def command() -> None:
    """Look at jobs, cancel them, run them again."""


command.add_command(retry_job)


@command.command(name="list")
@listing(JobStatus)
def list_jobs(limit: int, cursor: Place | None, as_json: bool, **words: str | None) -> None:
    """The newest jobs, newest first."""
    from ingest.views import listed_job_view, page_view

    filter_ = wanted(JobStatus, **words)

    async def read(ledger: Ledger) -> tuple[Page[JobRecord], datetime]:
        return await gather(ledger.lists.jobs, filter_, limit, cursor), await ledger.reading.now()

    page, now = look(read)
    if as_json:
        print_json(page_view(page, listed_job_view))
    elif page.items:
        columns = ("job", "status", "source", "type", "queue", "attempt", "created", "error")
        print_table(columns, (_row(job, now) for job in page.items))
    else:
        click.echo("no jobs")


@command.command(name="show")
@click.argument("job_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="One JSON document, as GET /jobs/{id} answers.")
def show_job(job_id: str, as_json: bool) -> None:
    """One job: how it stands, its attempts, its log, its callback."""

    async def read(ledger: Ledger) -> tuple[JobRecord | None, list[HandlerEntry], datetime]:
        return await ledger.reading.job(job_id), await live_entries(ledger), await ledger.reading.now()

    job, entries, now = look(read)
    if job is None:
        raise NotFound(f"no job {job_id}")
    view = _view(job, entries)
    if as_json:
        print_json(view)
    else:
        _print_job(job, view, now)


@command.command(name="cancel")
@click.argument("job_id", metavar="ID", required=False)
@narrowing(OPEN_STATUSES)
@click.option("--dry-run", is_flag=True, help="Only count them.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def cancel_jobs(job_id: str | None, dry_run: bool, as_json: bool, **words: str | None) -> None:
    """End a job that has not ended, or all that the options find; whoever runs them is told, and their callbacks say so."""
    narrowed = any(word is not None for word in words.values())
    if (job_id is None) != narrowed:
        raise click.UsageError("Name a job, or say which by options.")
    if job_id is None:
        _cancel_many(wanted(JobStatus, **words), dry_run=dry_run, as_json=as_json)
    elif dry_run or as_json:
        raise click.UsageError("--dry-run and --json go with options that say which.")
    else:
        _cancel_one(job_id)


def _cancel_many(filter_: Filter, *, dry_run: bool, as_json: bool) -> None:
    from ingest.views import canceled_view

    async def cancel(ledger: Ledger) -> tuple[OpenJobs, int | None]:
        found = await ledger.canceling.find(filter_)
        if dry_run:
            return found, None
        if found.statuses:
            await ledger.desk.note(by=BY, act="cancel jobs", on=filter_.source or "", client="")
        return found, await ledger.canceling.cancel(found, by=BY)

    found, canceled = look(cancel)
    if as_json:
        print_json(canceled_view(found, canceled))
        return
    at_least = "" if found.complete else "at least "
    each = ", ".join(f"{number} {status}" for status, number in found.counts.items() if number)
    click.echo(f"{at_least}{counted(len(found.statuses), 'job')} to cancel" + (f": {each}" if each else ""))
    if canceled is not None:
        click.echo(f"{counted(canceled, 'job')} canceled")


def _cancel_one(job_id: str) -> None:
    async def cancel(ledger: Ledger) -> JobStatus | None:
        return (
            await ledger.jobs.cancel(job_id, by=BY) if await ledger.reading.job(job_id) is not None else None
        )

    status = look(cancel)
    if status is None:
        raise NotFound(f"no job {job_id}")
    if status is not JobStatus.CANCELED:
        raise click.ClickException(f"{job_id} has ended: {status}")
    click.echo(f"{job_id} canceled")


def _view(job: JobRecord, entries: Iterable[HandlerEntry]) -> dict[str, Any]:
    from ingest.views import job_view

    return job_view(job, entry_for(entries, job.source, job.type), operator=True)


def _row(job: JobRecord, now: datetime) -> tuple[str, ...]:
    return (
        job.id,
        job.status,
        job.source,
        job.type,
        job.queue,
        str(job.attempt),
        relative(job.created_at, now),
        _error(job.error).split("\n", maxsplit=1)[0],
    )


def _print_job(job: JobRecord, view: dict[str, Any], now: datetime) -> None:
    place = "" if job.position is None else f", number {job.position}"
    print_facts(
        [
            ("job", job.id),
            ("status", job.status),
            ("event", f"{job.event_id}  {job.source} {job.type}"),
            ("handler", view["handler"]),
            ("queue", f"{job.queue}{place}"),
            ("created", relative(job.created_at, now)),
            ("started", relative(job.started_at, now)),
            ("ended", relative(job.ended_at, now)),
            ("next attempt", relative(job.next_attempt_at, now)),
            ("progress", _progress(view["progress"])),
            ("result", None if job.result is None else json_text(job.result)),
            ("error", _error(job.error)),
            ("metadata", json_text(dict(job.metadata)) if job.metadata else None),
            ("callback", _callback(job.callback, now)),
        ]
    )
    if job.attempts:
        click.echo()
        rows = [
            (str(attempt.number), attempt.outcome, relative(attempt.ended_at, now), attempt.worker,
             _error(attempt.error))
            for attempt in job.attempts
        ]  # fmt: skip
        print_table(("attempt", "outcome", "ended", "worker", "error"), rows)
    if job.callback is not None and job.callback.attempts:
        click.echo()
        print_posts(job.callback, now)
    if job.logs:
        click.echo()
        lines = [tuple(str(line.get(key, "")) for key in ("at", "level", "message")) for line in job.logs]
        print_table(("log", "level", "message"), lines)


def _progress(view: dict[str, Any] | None) -> str | None:
    if view is None:
        return None
    of = "" if view["total"] is None else f" of {view['total']:.10g} ({view['percent'] or 0:g} %)"
    said = ", ".join(view[key] for key in ("stage", "item", "message") if view[key])
    return f"{view['current']:.10g}{of}  {said}".strip()


def _error(error: ErrorInfo | None) -> str:
    return "" if error is None else f"{error.type}: {error.message}"


def _callback(callback: CallbackRecord | None, now: datetime) -> str:
    if callback is None:
        return ""
    due = f", next {relative(callback.next_attempt_at, now)}" if callback.next_attempt_at else ""
    reason = f" ({callback.reason})" if callback.reason else ""
    return f"{callback.id}  {callback.status}{reason}{due}\n{callback.url}"
