"""Tools for the tests of handlers: run one as the worker would, without Redis and without waiting; sign a request.

>>> from handlers import Context, RetryLater
>>> async def summarised(context: Context) -> dict[str, int]:
...     if context.attempt == 1:
...         raise RetryLater("90s", "still summarising")
...     return {"attempt": context.attempt}
>>> first = run(summarised, {"meeting_id": "m1"})
>>> first.outcome.delay.total_seconds()
90.0
>>> first.again().result
{'attempt': 2}
"""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from msgspec.structs import replace

from handlers.attempt import Runner, never
from handlers.declaration import ANY_TYPE
from handlers.http_clients import HTTPClients
from handlers.registry import Registry, default_registry
from handlers.rehearsal import Events, Rehearsal, body_of
from handlers.services import JobState
from infra.clock import Clock, ManualClock, SystemClock
from infra.ids import EVENT, JOB, new_suffix
from infra.ledger.records import Claim, Failed, Finished, Outcome, Progress, Retried, Waiting
from infra.signatures import providers
from infra.submission import Submission

START = datetime(2026, 11, 21, 20, 41, 11, tzinfo=UTC)


class RecordedEffects:
    """Keeps what a handler reports, in order."""

    def __init__(self) -> None:
        self.reports: list[Progress] = []
        self.lines: list[tuple[str, str]] = []

    def progress(self, job_id: str, progress: Progress) -> None:  # noqa: ARG002 - one job a recording
        self.reports.append(progress)

    def log(self, job_id: str, level: str, message: str) -> None:  # noqa: ARG002 - one job a recording
        self.lines.append((level, message))


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What one attempt came to.

    Args:
        outcome: what the worker would write down.
        progress: the reports, in order.
        logs: level and text of every line.
        enqueued: the jobs that it made, in order; none that an earlier attempt had made.
        artifacts: content of the files that the job has kept, by name.
        clock: what the handler was told the time by; move it with `ManualClock.advance`.
    """

    outcome: Outcome
    progress: list[Progress]
    logs: list[tuple[str, str]]
    enqueued: list[Submission]
    artifacts: dict[str, bytes]
    clock: ManualClock
    _claim: Claim = field(repr=False)
    _rehearsal: Rehearsal = field(repr=False)
    _run: Callable[[Claim], "Attempt"] = field(repr=False)

    @property
    def result(self) -> Any:
        """What the handler returned, as a receiver of the callback reads it.

        Raises:
            AssertionError: it did not finish; the text says what happened instead.
        """
        match self.outcome:
            case Finished(result=text):
                return json.loads(text)
            case Failed(error=error) | Retried(error=error):
                raise AssertionError(f"not finished: {self.outcome}\n{error.trace}")
            case _:
                raise AssertionError(f"not finished: {self.outcome}")

    def again(self) -> "Attempt":
        """What follows, with the clock moved to its time: the attempt after a `Retried`, or a wait that was in vain.

        Raises:
            AssertionError: nothing follows.
        """
        number = self._claim.attempt
        match self.outcome:
            case Retried(delay=delay, counted=counted):
                self.clock.advance(delay)
                number += counted
            case Waiting(until=until):
                self.clock.advance(until - self.clock.now())
            case _:
                raise AssertionError(f"nothing follows: {self.outcome}")
        return self._run(replace(self._claim, attempt=number, claimed_at=self.clock.now()))

    def with_results(self, *results: Any) -> "Attempt":
        """What follows when jobs that it made end, in the order in which they were made: with results, or errors in their place.

        Raises:
            AssertionError: it does not wait.
        """
        if not isinstance(self.outcome, Waiting):
            raise AssertionError(f"waits for nothing: {self.outcome}")  # noqa: TRY004 - a test reads it
        self._rehearsal.end_jobs(results)
        self.clock.advance(max(self.outcome.until - self.clock.now(), timedelta(0)))
        return self._run(replace(self._claim, claimed_at=self.clock.now()))

    def with_event(self, payload: Any) -> "Attempt":
        """What follows a `Waiting` when the event comes.

        Raises:
            AssertionError: it does not wait.
        """
        if not isinstance(self.outcome, Waiting):
            raise AssertionError(f"waits for nothing: {self.outcome}")  # noqa: TRY004 - a test reads it
        self._rehearsal.receive(self.outcome.source, self.outcome.key, payload)
        return self._run(replace(self._claim, claimed_at=self.clock.now()))


def run(
    handler: Callable[..., Any],
    payload: Any,
    *,
    source: str | None = None,
    type: str | None = None,  # noqa: A002 - the contract's word
    headers: Mapping[str, str] | None = None,
    content_type: str = "application/json",
    metadata: Mapping[str, Any] | None = None,
    attempt: int = 1,
    clock: ManualClock | None = None,
    events: Events | None = None,
    files: Mapping[str, bytes] | None = None,
    earlier: Mapping[str, Sequence[JobState]] | None = None,
    http: HTTPClients | None = None,
    registry: Registry = default_registry,
    canceled: Callable[[], bool] = never,
) -> Attempt:
    """Make one attempt with a handler, in a loop of its own.

    Args:
        handler: the function, declared or not; an undeclared one gets the defaults.
        payload: sent as JSON, or as it is if it is bytes.
        source, type: of the event; left out: what the handler was declared for.
        attempt: which attempt the handler is told this is.
        clock: left out: one that stands at `START`.
        events: what came before, for ``context.wait_for``: payloads by source and key.
        earlier: the jobs that earlier jobs made, for ``context.children`` and ``context.jobs``: by the id of that job.
        files: content of what ``context.download`` finds, by id or URL.
        http: the clients behind ``context.http``; give them an `httpx.MockTransport`.
        canceled: what ``context.canceled`` answers.
    """
    declared = next((known for known in registry if known.function is handler), None)
    source = source or (declared.source if declared else "test")
    type = type or (declared.type if declared and declared.type != ANY_TYPE else "test")  # noqa: A001
    if declared is None:
        registry = Registry()
        registry.handler(source, type)(handler)
    clock = clock or ManualClock(START)
    suffix = new_suffix()
    claim = Claim(
        job_id=JOB + suffix,
        event_id=EVENT + suffix,
        token="test-1",  # noqa: S106 - no secret
        queue="default",
        attempt=attempt,
        crashes=0,
        claimed_at=clock.now(),
        created_at=clock.now(),
        source=source,
        type=type,
        received_at=clock.now(),
        headers=headers or {},
        content_type=content_type,
        body=body_of(payload),
        metadata=metadata or {},
    )
    rehearsal = Rehearsal(clock, events or {}, files or {}, earlier or {})

    def attempt_with(claim: Claim) -> Attempt:
        effects, made = RecordedEffects(), len(rehearsal.enqueued)

        def runner(executor: Executor, clients: HTTPClients) -> Runner:
            return Runner(
                registry,
                executor=executor,
                effects=effects,
                services=rehearsal,
                http=clients,
                clock=clock,
                jitter=lambda: 0.5,
            )

        outcome = asyncio.run(_run(runner, claim, http or HTTPClients(), canceled))
        return Attempt(
            outcome=outcome,
            progress=effects.reports,
            logs=effects.lines,
            enqueued=rehearsal.enqueued[made:],
            artifacts=dict(rehearsal.artifacts),
            clock=clock,
            _claim=claim,
            _rehearsal=rehearsal,
            _run=attempt_with,
        )

    return attempt_with(claim)


async def _run(
    make: Callable[[Executor, HTTPClients], Runner],
    claim: Claim,
    http: HTTPClients,
    canceled: Callable[[], bool],
) -> Outcome:
    executor = ThreadPoolExecutor(max_workers=1)
    try:
        return await make(executor, http).run(claim, canceled=canceled)
    finally:
        await http.aclose()
        executor.shutdown(wait=False)


def signed(
    provider: str,
    payload: Any,
    *,
    secret: str,
    scheme: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    url: str | None = None,
    clock: Clock | None = None,
) -> httpx.Request:
    """A request as that provider would send it; any client can send it, or its method, URL, headers and content.

    Args:
        provider: a name in the provider table, such as ``"fireflies"``.
        payload: sent as JSON, or as it is if it is bytes.
        scheme, parameters: for providers that leave a choice, as a source in ``sources.toml`` spells them.
        headers: more headers, such as ``X-GitHub-Event``.
        url: left out: the provider's own source on a local Hookline.
        clock: dates the signature; left out: the machine's, so that the request is fresh.

    Raises:
        KeyError: no such provider.
        SchemeError: the secret or a parameter is not what the scheme needs.
        ValueError: only the provider's own key can sign so, or the payload is not of the shape that is signed.

    >>> request = signed("fireflies", {"event": "meeting.summarized", "meeting_id": "m1"}, secret="0123456789abcdef")
    >>> request.headers["x-hub-signature"][:7], request.content
    ('sha256=', b'{"event": "meeting.summarized", "meeting_id": "m1"}')
    """
    url = url or f"http://localhost:8000/hooks/{provider}"
    body = body_of(payload)
    signer = providers()[provider].build_scheme(scheme, parameters)
    now = (clock or SystemClock()).now()
    made = signer.sign_request(body, [signer.key(secret)], now=now, message_id=f"msg_{new_suffix()}", url=url)
    return httpx.Request(
        "POST",
        made.url or url,
        content=made.body,
        headers={"Content-Type": "application/json", **(headers or {}), **made.headers},
    )
