"""``hookline replays``: many jobs, again."""

from collections.abc import Sequence
from datetime import datetime

import click

from infra.cli.dev_state import environment_here
from infra.cli.looking import BY, NotFound, look, wanted
from infra.cli.tables import counted, json_text, print_facts, print_json, print_table, relative
from infra.ids import JOB, is_id
from infra.ledger import Ledger
from infra.ledger.bulk import BulkReplay, Terms, lane_of
from infra.ledger.records import TERMINAL_STATUSES, JobStatus
from infra.ledger.selections import Selection
from infra.settings import Settings

_USUAL = Terms()
_ENDS = click.Choice(sorted(status.value for status in TERMINAL_STATUSES))


@click.group(name="replays")
def command() -> None:
    """Run many jobs again, and look at how that goes."""


@command.command(name="run")
@click.argument("job_ids", metavar="[ID]...", nargs=-1)
@click.option("--status", type=_ENDS, help="Only these.")
@click.option("--source", help="Only of this source.")
@click.option("--type", metavar="TEXT", help="Only of this event type.")
@click.option("--queue", help="Only of this queue.")
@click.option("--tag", help="Only with this tag.")
@click.option("--since", metavar="TIME", help="Not older: a time, or how long ago, such as 2h.")
@click.option("--until", metavar="TIME", help="Older.")
@click.option("--dry-run", is_flag=True, help="Only count them.")
@click.option(
    "--rate", default=_USUAL.rate, show_default=True, type=click.IntRange(1, 1000), help="So many a second."
)
@click.option(
    "--max-error-share",
    default=_USUAL.share,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Stop when more fail.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def run_replay(
    job_ids: tuple[str, ...],
    dry_run: bool,
    rate: int,
    max_error_share: float,
    as_json: bool,
    **words: str | None,
) -> None:
    """Retry failed jobs, replay others that have ended: those named, or all that the options find."""
    from ingest.views import replay_view, selection_view

    asked = {name: word for name, word in words.items() if word is not None}
    if job_ids and asked.keys() - {"status"}:
        raise click.UsageError("Name jobs, or say which by options.")
    if not all(is_id(one, JOB) for one in job_ids):
        raise click.UsageError(f"Name jobs by their ids, such as {JOB}01k….")
    if not job_ids:
        asked.setdefault("status", JobStatus.FAILED)
    filter_ = wanted(JobStatus, **asked)
    terms = Terms(queue=lane_of(Settings.load(environment_here()).queues), rate=rate, share=max_error_share)

    async def run(ledger: Ledger) -> tuple[Selection, BulkReplay | None]:
        chosen = await ledger.replays.select(filter_, ids=list(dict.fromkeys(job_ids)) or None)
        if dry_run:
            return chosen, None
        named = {"ids": len(job_ids)} if job_ids else {}
        replay_id = await ledger.replays.start(chosen, terms, by=BY, asked={**asked, **named})
        return chosen, await ledger.replays.replay(replay_id)

    chosen, replay = look(run)
    if as_json:
        print_json(selection_view(chosen) if replay is None else replay_view(replay))
        return
    at_least = "" if chosen.complete else "at least "
    click.echo(f"{at_least}{counted(len(chosen.jobs), 'job')} to run again")
    for warning in selection_view(chosen)["warnings"]:
        click.echo(warning)
    if replay is not None:
        click.echo(f"{replay.id} {replay.status}")


@command.command(name="list")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000), help="At most so many.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def list_replays(limit: int, as_json: bool) -> None:
    """The newest bulk replays, newest first."""
    from ingest.views import replay_view

    async def read(ledger: Ledger) -> tuple[Sequence[BulkReplay], datetime]:
        return await ledger.replays.newest(limit), await ledger.replays.now()

    found, now = look(read)
    if as_json:
        print_json({"items": [replay_view(one) for one in found]})
    elif found:
        columns = ("replay", "status", "created", "jobs", "begun", "succeeded", "failed", "by")
        print_table(columns, (_row(one, now) for one in found))
    else:
        click.echo("no bulk replays")


@command.command(name="show")
@click.argument("replay_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="One JSON document, as GET /replays/{id} answers.")
def show_replay(replay_id: str, as_json: bool) -> None:
    """One bulk replay: how far it is, and what became of its jobs."""
    from ingest.views import replay_view

    async def read(ledger: Ledger) -> tuple[BulkReplay | None, datetime]:
        return await ledger.replays.replay(replay_id), await ledger.replays.now()

    found, now = look(read)
    if found is None:
        raise NotFound(f"no bulk replay {replay_id}")
    if as_json:
        print_json(replay_view(found))
    else:
        _print_replay(found, now)


@command.command(name="cancel")
@click.argument("replay_id", metavar="ID")
def cancel_replay(replay_id: str) -> None:
    """Begin no further job of a bulk replay; what it has begun goes on."""

    async def cancel(ledger: Ledger) -> bool | None:
        known = await ledger.replays.replay(replay_id)
        return None if known is None else await ledger.replays.halt(replay_id, by=BY)

    done = look(cancel)
    if done is None:
        raise NotFound(f"no bulk replay {replay_id}")
    if not done:
        raise click.ClickException(f"{replay_id} has ended")
    click.echo(f"{replay_id} stopped")


def _row(replay: BulkReplay, now: datetime) -> tuple[str, ...]:
    return (
        replay.id,
        replay.status,
        relative(replay.created_at, now),
        str(replay.total),
        str(replay.begun),
        str(replay.succeeded),
        str(replay.failed),
        replay.by,
    )


def _print_replay(replay: BulkReplay, now: datetime) -> None:
    terms = replay.terms
    ends = ("succeeded", "failed", "canceled", "ignored")
    ended = ", ".join(f"{getattr(replay, end)} {end}" for end in ends if getattr(replay, end))
    print_facts(
        [
            ("replay", replay.id),
            ("status", replay.status + (f" ({replay.reason})" if replay.reason else "")),
            ("by", replay.by),
            ("filter", json_text(dict(replay.filter))),
            ("jobs", f"{replay.total}{'' if replay.complete else ', of more'}"),
            ("begun", f"{replay.begun}, {replay.skipped} skipped"),
            ("ended", ended or None),
            ("runs", f"in {terms.queue}, {terms.rate} a second; stops above {terms.share:.0%} failures"),
            ("created", relative(replay.created_at, now)),
            ("ended at", relative(replay.ended_at, now)),
        ]
    )
