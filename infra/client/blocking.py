"""The client that blocks."""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, suppress
from datetime import datetime, timedelta
from typing import Any, Self, TypeVar

import httpx
from tenacity import Retrying

from infra.client import calls
from infra.client.calls import Call
from infra.client.errors import NotReached
from infra.client.event_stream import Resumption
from infra.client.models import Batch, Callback, Event, File, Job, Page, Receipt, Update
from infra.client.operations import Operation
from infra.client.retrying import TRIES, policy

_T = TypeVar("_T")


class Client:
    """Calls one Hookline. Close it, or use it in a ``with`` block; threads may share it.

    Args:
        url: where it is, such as ``https://hooks.example.com``.
        api_key: one of its ``HOOKLINE_API_KEYS``.
        timeout: of one request, in seconds, beside what it waits for a job.
        tries: how often a call is made where Hookline is busy or not there; 429 and 503 are waited out as they ask.
        transport: what sends; httpx's own when left out.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        timeout: float = 10.0,
        tries: int = TRIES,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._http = httpx.Client(
            base_url=url, headers=calls.headers_of(api_key), timeout=timeout, transport=transport
        )
        self._timeout = timeout
        self._tries = tries

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def submit(
        self,
        type: str,  # noqa: A002 - the contract's word
        payload: Any = None,
        *,
        queue: str | None = None,
        run_in: timedelta | str | float | None = None,
        run_at: datetime | None = None,
        callback_url: str | None = None,
        idempotency_key: str | None = None,
        ordering_key: str | None = None,
        tag: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        link: str | None = None,
    ) -> Receipt:
        """Make a job. The words are those of ``POST /jobs``.

        Args:
            idempotency_key: left out: one of its own for each call, so that a call whose answer was lost makes one job.

        Raises:
            Refused: such a job can't be made.
            NotReached: no answer; the job may have been made.
        """
        options = {
            "queue": queue,
            "run_in": run_in,
            "run_at": run_at,
            "callback_url": callback_url,
            "idempotency_key": idempotency_key,
            "ordering_key": ordering_key,
            "tag": tag,
            "metadata": metadata,
            "link": link,
        }
        return self._ask(calls.submit(type, payload, options), Receipt)

    def submit_many(self, submissions: Iterable[Mapping[str, Any]]) -> list[Receipt]:
        """Make up to a hundred jobs at once, all or none: a batch, which their receipts name.

        Args:
            submissions: each with what ``POST /jobs`` takes.

        Raises:
            Refused: one of them can't be made.
            NotReached: no answer; the jobs may have been made.
        """
        return self._ask(calls.submit_many(submissions), list[Receipt])

    def job(self, job_id: str) -> Job:
        """A job as it stands.

        Raises:
            NotFound: there is none.
        """
        return self._ask(calls.read(job_id), Job)

    def wait(self, job_id: str, *, seconds: float | None = None) -> Job:
        """A job once it has ended, or as it stands when the time is over.

        Args:
            seconds: left out: as long as it takes.

        Raises:
            NotFound: there is none.
        """
        end = None if seconds is None else time.monotonic() + seconds
        while True:
            left = calls.LONGEST_WAIT if end is None else max(end - time.monotonic(), 0)
            job = self._ask(calls.read(job_id, wait=left), Job, patience=min(left, calls.LONGEST_WAIT))
            if job.ended or (end is not None and time.monotonic() >= end):
                return job

    def stream(self, job_id: str, *, after: str | None = None) -> Iterator[Update]:
        """What happens to a job, as it happens, until it and its callback are over. A connection that breaks is made again, and
        nothing is missed. Who only waits for the job leaves at its terminal ``status``.

        Args:
            after: the `id` of an update; left out: how the job stands comes first.

        Raises:
            NotFound: there is none.
            NotReached: it could not be reached again.
        """
        return self._followed(calls.stream_of(job_id), after)

    def stream_all(self, *, after: str | None = None, **filters: Any) -> Iterator[Update]:
        """The same of all jobs that fit; it has no end.

        Args:
            filters: ``source``, ``type``, ``queue``, ``tag``.
        """
        return self._followed(calls.stream_of_all(filters), after)

    def jobs(self, **filters: Any) -> Iterator[Job]:
        """All jobs that fit, newest first, a page at a time.

        Args:
            filters: ``status``, ``source``, ``type``, ``queue``, ``tag``, ``since``, ``until``, ``limit`` (of a page).
        """
        return self._listed("/jobs", filters, Page[Job])

    def events(self, **filters: Any) -> Iterator[Event]:
        """All events that fit, likewise."""
        return self._listed("/events", filters, Page[Event])

    def callbacks(self, **filters: Any) -> Iterator[Callback]:
        """All callbacks that fit, likewise."""
        return self._listed("/callbacks", filters, Page[Callback])

    def event(self, event_id: str) -> Event:
        """An event, and its timeline.

        Raises:
            NotFound: there is none.
        """
        return self._ask(calls.look("events", event_id), Event)

    def callback(self, callback_id: str) -> Callback:
        """A callback as it stands, with its attempts.

        Raises:
            NotFound: there is none.
        """
        return self._ask(calls.look("callbacks", callback_id), Callback)

    def batch(self, batch_id: str) -> Batch:
        """How jobs stand that were submitted together.

        Raises:
            NotFound: there is no such batch.
        """
        return self._ask(calls.look("batches", batch_id), Batch)

    def cancel(self, job_id: str) -> Job:
        """Cancel a job.

        Raises:
            Refused: it has ended (``job_ended``).
        """
        return self._ask(calls.steer(job_id, "cancel"), Job)

    def retry(self, job_id: str) -> Job:
        """Run a failed job again, now.

        Raises:
            Refused: it has not failed.
        """
        return self._ask(calls.steer(job_id, "retry"), Job)

    def replay(self, event_id: str, *, payload: Any = calls.UNCHANGED, queue: str | None = None) -> Receipt:
        """Run an event again, as a new job.

        Args:
            payload: another one than it had: then it is a new event.

        Raises:
            NotFound: there is no such event.
        """
        return self._ask(calls.replay(event_id, payload=payload, queue=queue), Receipt)

    def redeliver(self, callback_id: str) -> Callback:
        """Make a callback again, at once.

        Raises:
            NotFound: there is none.
            Refused: its job has not ended (``job_open``).
        """
        return self._ask(calls.redeliver(callback_id), Callback)

    def upload(self, content: bytes | Iterable[bytes]) -> File:
        """Send a file up, whole or in pieces; a payload names it by its id.

        Raises:
            Refused: it is too large, or no files are kept there.
        """
        return self._ask(calls.upload(content), File)

    def ask(self, operation: Operation[_T]) -> _T:
        """What operators ask for, and what is seldom asked: one of `infra.client.operations`.

        Raises:
            Refused: an answer that is no 2xx.
        """
        return self._ask(operation.call, operation.kind)

    def _ask(self, call: Call, kind: type[_T], *, patience: float = 0) -> _T:
        def send() -> httpx.Response:
            request = call.built(self._http)
            request.extensions["timeout"] = httpx.Timeout(self._timeout + patience).as_dict()
            return self._http.send(request)

        try:
            answer = Retrying(**policy(call, self._tries))(send)
        except httpx.TransportError as error:
            raise NotReached(f"no answer: {error}") from error
        return calls.understood(answer, kind)

    def _listed(self, path: str, filters: Mapping[str, Any], kind: type[Page[_T]]) -> Iterator[_T]:
        cursor: str | None = None
        while True:
            page = self._ask(calls.page(path, filters, cursor), kind)
            yield from page.items
            cursor = page.next_cursor
            if cursor is None:
                return

    def _followed(self, call: Call, after: str | None) -> Iterator[Update]:
        resumption = Resumption(after, self._tries)
        while not resumption.over:
            with suppress(httpx.TransportError):
                yield from self._streamed(call, resumption)
            if not resumption.over:
                time.sleep(resumption.pause())

    def _streamed(self, call: Call, resumption: Resumption) -> Iterator[Update]:
        request = calls.streaming(call, self._http, resumption.parser.last_id, patience=self._timeout)
        with closing(self._http.send(request, stream=True)) as answer:
            if not answer.is_success:
                answer.read()
            if resumption.opened(answer):
                for line in answer.iter_lines():
                    if (update := resumption.parser.take(line)) is not None:
                        yield update
