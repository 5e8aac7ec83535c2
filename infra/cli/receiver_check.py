"""``hookline callbacks check``: whether a receiver verifies what it gets."""

import asyncio
from collections.abc import Sequence

import click

from infra.cli.dev_state import environment_here
from infra.cli.looking import look
from infra.cli.tables import print_json, print_table
from infra.clock import SystemClock
from infra.egress import EgressPolicy, GuardedTransport
from infra.errors import HooklineError
from infra.ledger.grades import Probe
from infra.settings import Settings
from infra.signatures import SchemeError, whsec_key
from worker.callbacks.check import Check, Verdict, grade

_PASSED = ("A", "B")


@click.command(name="check")
@click.argument("url", metavar="URL")
@click.option(
    "--secret", help="The whsec_… that it verifies with; else the newest of HOOKLINE_CALLBACK_SECRET."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.pass_context
def check_receiver(context: click.Context, url: str, secret: str | None, as_json: bool) -> None:
    """Send a receiver a good callback and some bad ones, and grade it from A to F."""
    settings = Settings.load(environment_here())
    newest = (settings.callback_secrets or (None,))[0]
    verdicts = asyncio.run(_run(settings, url, _checked(newest if secret is None else secret)))
    earned = grade(verdicts)
    if settings.redis_url is not None:
        _keep(url, earned, verdicts)
    if as_json:
        print_json({"url": url, "grade": earned, "probes": [_view(verdict) for verdict in verdicts]})
    else:
        print_table(("probe", "answer", "took", "grade", ""), [_row(verdict) for verdict in verdicts])
        click.echo(f"\n{earned}")
    context.exit(0 if earned in _PASSED else 1)


async def _run(settings: Settings, url: str, secret: str) -> Sequence[Verdict]:
    def transport() -> GuardedTransport:
        return GuardedTransport(EgressPolicy.of(settings))

    check = Check(transport, secret=secret, clock=SystemClock(), timeout=settings.callback_timeout)
    return await check.run(url)


async def graded(settings: Settings, url: str, secret: str) -> tuple[str, Sequence[Probe]]:
    """A receiver's grade, and what each probe came to, as the ledger keeps them."""
    verdicts = await _run(settings, url, secret)
    return grade(verdicts), _probes(verdicts)


def _keep(url: str, earned: str, verdicts: Sequence[Verdict]) -> None:
    """For the console; a check is none the worse without."""
    try:
        look(lambda ledger: ledger.grades.note(url, earned, _probes(verdicts)))
    except HooklineError as error:
        click.echo(f"the console will not show it: {error}", err=True)


def _probes(verdicts: Sequence[Verdict]) -> list[Probe]:
    return [Probe(one.probe, one.answer, one.grade, one.words) for one in verdicts]


def _checked(secret: str | None) -> str:
    if secret is None:
        raise click.UsageError("Give --secret, or set HOOKLINE_CALLBACK_SECRET.")
    try:
        whsec_key(secret)
    except SchemeError as error:
        raise click.UsageError(f"The secret {error}.") from None
    return secret


def _view(verdict: Verdict) -> dict[str, object]:
    return {
        "probe": verdict.probe,
        "answer": verdict.answer,
        "duration_ms": round(verdict.duration.total_seconds() * 1000),
        "grade": verdict.grade,
        "words": verdict.words,
    }


def _row(verdict: Verdict) -> tuple[str, ...]:
    took = f"{verdict.duration.total_seconds() * 1000:.0f} ms"
    return verdict.probe, verdict.answer, took, verdict.grade, verdict.words
