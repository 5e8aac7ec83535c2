"""The client that is awaited: `infra.client.blocking`, word for word."""

import asyncio
import time
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping
from contextlib import aclosing, suppress
from datetime import datetime, timedelta
from typing import Any, Self, TypeVar

import httpx
from tenacity import AsyncRetrying

from infra.client import calls
from infra.client.calls import Call
from infra.client.errors import NotReached
from infra.client.event_stream import Resumption
from infra.client.models import Batch, Callback, Event, File, Job, Page, Receipt, Update
from infra.client.operations import Operation
from infra.client.retrying import TRIES, policy

_T = TypeVar("_T")


class AsyncClient:
    """Calls one Hookline. Close it, or use it in an ``async with`` block; tasks of one loop may share it.

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
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._http = httpx.AsyncClient(
            base_url=url, headers=calls.headers_of(api_key), timeout=timeout, transport=transport
        )
        self._timeout = timeout
        self._tries = tries

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    async def submit(
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
        return await self._ask(calls.submit(type, payload, options), Receipt)

    async def submit_many(self, submissions: Iterable[Mapping[str, Any]]) -> list[Receipt]:
        """Make up to a hundred jobs at once, all or none: a batch, which their receipts name.

        Args:
            submissions: each with what ``POST /jobs`` takes.

        Raises:
            Refused: one of them can't be made.
            NotReached: no answer; the jobs may have been made.
        """
        return await self._ask(calls.submit_many(submissions), list[Receipt])

    async def job(self, job_id: str) -> Job:
        """A job as it stands.

        Raises:
            NotFound: there is none.
        """
        return await self._ask(calls.read(job_id), Job)

    async def wait(self, job_id: str, *, seconds: float | None = None) -> Job:
        """A job once it has ended, or as it stands when the time is over.

        Args:
            seconds: left out: as long as it takes.

        Raises:
            NotFound: there is none.
        """
        end = None if seconds is None else time.monotonic() + seconds
        while True:
            left = calls.LONGEST_WAIT if end is None else max(end - time.monotonic(), 0)
            job = await self._ask(calls.read(job_id, wait=left), Job, patience=min(left, calls.LONGEST_WAIT))
            if job.ended or (end is not None and time.monotonic() >= end):
                return job

    def stream(self, job_id: str, *, after: str | None = None) -> AsyncIterator[Update]:
        """What happens to a job, as it happens, until it and its callback are over. A connection that breaks is made again, and
        nothing is missed. Who only waits for the job leaves at its terminal ``status``.

        Args:
            after: the `id` of an update; left out: how the job stands comes first.

        Raises:
            NotFound: there is none.
            NotReached: it could not be reached again.
        """
        return self._followed(calls.stream_of(job_id), after)

    def stream_all(self, *, after: str | None = None, **filters: Any) -> AsyncIterator[Update]:
        """The same of all jobs that fit; it has no end.

        Args:
            filters: ``source``, ``type``, ``queue``, ``tag``.
        """
        return self._followed(calls.stream_of_all(filters), after)

    def jobs(self, **filters: Any) -> AsyncIterator[Job]:
        """All jobs that fit, newest first, a page at a time.

        Args:
            filters: ``status``, ``source``, ``type``, ``queue``, ``tag``, ``since``, ``until``, ``limit`` (of a page).
        """
        return self._listed("/jobs", filters, Page[Job])

    def events(self, **filters: Any) -> AsyncIterator[Event]:
        """All events that fit, likewise."""
        return self._listed("/events", filters, Page[Event])

    def callbacks(self, **filters: Any) -> AsyncIterator[Callback]:
        """All callbacks that fit, likewise."""
        return self._listed("/callbacks", filters, Page[Callback])

    async def event(self, event_id: str) -> Event:
        """An event, and its timeline.

        Raises:
            NotFound: there is none.
        """
        return await self._ask(calls.look("events", event_id), Event)

    async def callback(self, callback_id: str) -> Callback:
        """A callback as it stands, with its attempts.

        Raises:
            NotFound: there is none.
        """
        return await self._ask(calls.look("callbacks", callback_id), Callback)

    async def batch(self, batch_id: str) -> Batch:
        """How jobs stand that were submitted together.

        Raises:
            NotFound: there is no such batch.
        """
        return await self._ask(calls.look("batches", batch_id), Batch)

    async def cancel(self, job_id: str) -> Job:
        """Cancel a job.

        Raises:
            Refused: it has ended (``job_ended``).
        """
        return await self._ask(calls.steer(job_id, "cancel"), Job)

    async def retry(self, job_id: str) -> Job:
        """Run a failed job again, now.

        Raises:
            Refused: it has not failed.
        """
        return await self._ask(calls.steer(job_id, "retry"), Job)

    async def replay(
        self, event_id: str, *, payload: Any = calls.UNCHANGED, queue: str | None = None
    ) -> Receipt:
        """Run an event again, as a new job.

        Args:
            payload: another one than it had: then it is a new event.

        Raises:
            NotFound: there is no such event.
        """
        return await self._ask(calls.replay(event_id, payload=payload, queue=queue), Receipt)

    async def redeliver(self, callback_id: str) -> Callback:
        """Make a callback again, at once.

        Raises:
            NotFound: there is none.
            Refused: its job has not ended (``job_open``).
        """
        return await self._ask(calls.redeliver(callback_id), Callback)

    async def upload(self, content: bytes | AsyncIterable[bytes]) -> File:
        """Send a file up, whole or in pieces; a payload names it by its id.

        Raises:
            Refused: it is too large, or no files are kept there.
        """
        return await self._ask(calls.upload(content), File)

    async def ask(self, operation: Operation[_T]) -> _T:
        """What operators ask for, and what is seldom asked: one of `infra.client.operations`.

        Raises:
            Refused: an answer that is no 2xx.
        """
        return await self._ask(operation.call, operation.kind)

    async def _ask(self, call: Call, kind: type[_T], *, patience: float = 0) -> _T:
        async def send() -> httpx.Response:
            request = call.built(self._http)
            request.extensions["timeout"] = httpx.Timeout(self._timeout + patience).as_dict()
            return await self._http.send(request)

        try:
            answer: httpx.Response = await AsyncRetrying(**policy(call, self._tries))(send)
        except httpx.TransportError as error:
            raise NotReached(f"no answer: {error}") from error
        return calls.understood(answer, kind)

    async def _listed(self, path: str, filters: Mapping[str, Any], kind: type[Page[_T]]) -> AsyncIterator[_T]:
        cursor: str | None = None
        while True:
            page = await self._ask(calls.page(path, filters, cursor), kind)
            for item in page.items:
                yield item
            cursor = page.next_cursor
            if cursor is None:
                return

    async def _followed(self, call: Call, after: str | None) -> AsyncIterator[Update]:
        resumption = Resumption(after, self._tries)
        while not resumption.over:
            with suppress(httpx.TransportError):
                async for update in self._streamed(call, resumption):
                    yield update
            if not resumption.over:
                await asyncio.sleep(resumption.pause())

    async def _streamed(self, call: Call, resumption: Resumption) -> AsyncIterator[Update]:
        request = calls.streaming(call, self._http, resumption.parser.last_id, patience=self._timeout)
        async with aclosing(await self._http.send(request, stream=True)) as answer:
            if not answer.is_success:
                await answer.aread()
            if resumption.opened(answer):
                async for line in answer.aiter_lines():
                    if (update := resumption.parser.take(line)) is not None:
                        yield update
