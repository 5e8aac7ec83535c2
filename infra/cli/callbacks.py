"""``hookline callbacks``: look at callbacks, and make them again."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import click

from infra.cli.looking import BY, NotFound, listing, look, narrowing, wanted
from infra.cli.receiver_check import check_receiver
from infra.cli.tables import counted, print_facts, print_json, print_table, relative
from infra.ledger import Ledger
from infra.ledger.lists import Page, Place, gather
from infra.ledger.pausing import RATE
from infra.ledger.records import CallbackRecord, CallbackStatus, JobRecord
from infra.ledger.selections import MOST, MOST_PAGES


@click.group(name="callbacks")
def command() -> None:
    """Look at callbacks, make them again, check who receives them."""


command.add_command(check_receiver)


@command.command(name="list")
@listing(CallbackStatus)
def list_callbacks(limit: int, cursor: Place | None, as_json: bool, **words: str | None) -> None:
    """The newest callbacks, newest first."""
    from ingest.views import called_view, page_view

    filter_ = wanted(CallbackStatus, **words)

    async def read(ledger: Ledger) -> tuple[Page[JobRecord], datetime]:
        return await gather(ledger.lists.callbacks, filter_, limit, cursor), await ledger.reading.now()

    page, now = look(read)
    if as_json:
        print_json(page_view(page, called_view))
    elif page.items:
        columns = ("callback", "status", "source", "attempts", "created", "url", "reason")
        print_table(columns, (_row(callback, job, now) for callback, job in _called(page.items)))
    else:
        click.echo("no callbacks")


@command.command(name="show")
@click.argument("callback_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="One JSON document, as GET /callbacks/{id} answers.")
def show_callback(callback_id: str, as_json: bool) -> None:
    """One callback: how it stands, and what its receiver answered."""
    from ingest.views import called_view

    async def read(ledger: Ledger) -> tuple[list[JobRecord | None], datetime]:
        return await ledger.reading.called([callback_id]), await ledger.reading.now()

    (job,), now = look(read)
    if job is None or job.callback is None:
        raise NotFound(f"no callback {callback_id}")
    if as_json:
        print_json(called_view(job))
    else:
        _print_callback(job.callback, job, now)


@command.command(name="redeliver")
@click.argument("callback_id", metavar="ID", required=False)
@narrowing(status for status in CallbackStatus if status is not CallbackStatus.PENDING)
@click.option("--dry-run", is_flag=True, help="Only count them.")
@click.option(
    "--rate", default=RATE, show_default=True, type=click.IntRange(1, 1000), help="So many a second."
)
def redeliver_callbacks(callback_id: str | None, dry_run: bool, rate: int, **words: str | None) -> None:
    """Make a callback again, at once, with its old webhook-id; or, by --status, many."""
    if (callback_id is None) == (words["status"] is None):
        raise click.UsageError("Name a callback, or say which by --status.")
    if callback_id is not None:
        if dry_run or any(words.values()):
            raise click.UsageError("What narrows, and --dry-run, go with --status.")
        _redeliver_one(callback_id)
        return

    filter_ = wanted(CallbackStatus, **words)

    async def redeliver(ledger: Ledger) -> None:
        found = await gather(ledger.lists.callbacks, filter_, MOST, pages=MOST_PAGES)
        more = "" if found.next is None else "; there may be more, so ask again then"
        click.echo(f"{counted(len(found.items), 'callback')} to redeliver{more}")
        if not dry_run and found.items:
            await ledger.desk.note(by=BY, act="redeliver callbacks", on=filter_.source or "", client="")
            every = timedelta(seconds=1) / rate
            again = sum(await ledger.callbacks.redeliver(found.items[::-1], every=every, by=BY))
            click.echo(f"{counted(again, 'callback')} redelivered")

    look(redeliver)


def _redeliver_one(callback_id: str) -> None:
    async def again(ledger: Ledger) -> bool | None:
        (job,) = await ledger.reading.called([callback_id])
        return None if job is None else (await ledger.callbacks.redeliver([job], by=BY))[0]

    done = look(again)
    if done is None:
        raise NotFound(f"no callback {callback_id}")
    if not done:
        raise click.ClickException(f"{callback_id} is not made yet: its job has not ended")
    click.echo(f"{callback_id} pending")


def _called(jobs: Sequence[JobRecord]) -> Iterator[tuple[CallbackRecord, JobRecord]]:
    return ((job.callback, job) for job in jobs if job.callback is not None)


def _row(callback: CallbackRecord, job: JobRecord, now: datetime) -> tuple[str, ...]:
    return (
        callback.id,
        callback.status,
        job.source,
        str(len(callback.attempts)),
        relative(callback.created_at, now),
        callback.url,
        callback.reason or "",
    )


def _print_callback(callback: CallbackRecord, job: JobRecord, now: datetime) -> None:
    print_facts(
        [
            ("callback", callback.id),
            ("status", callback.status),
            ("reason", callback.reason),
            ("url", callback.url),
            ("job", f"{job.id}  {job.status}"),
            ("event", f"{job.event_id}  {job.source} {job.type}"),
            ("created", relative(callback.created_at, now)),
            ("next attempt", relative(callback.next_attempt_at, now)),
        ]
    )
    if callback.attempts:
        click.echo()
        print_posts(callback, now)


def print_posts(callback: CallbackRecord, now: datetime) -> None:
    """A table of what was sent, and what came back."""
    posts = [
        (str(post.number), relative(post.at, now), str(post.status or ""), post.error or "", post.reply)
        for post in callback.attempts
    ]
    print_table(("POST", "at", "answer", "error", "reply"), posts)
