"""A test event of a source: signed as its provider signs, and received as any other, by the same code."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

import httpx
from starlette.routing import Route, Router
from starlette.types import ASGIApp

from infra.clock import Clock
from infra.ids import EVENT, is_id
from infra.ledger import Lists
from infra.ledger.lists import Filter
from infra.signatures.samples import signed_sample
from ingest.console.visit import Act, Frame, Visit
from ingest.problems import SOURCE_UNKNOWN, Kind, Problem
from ingest.sources import Source, Sources

UNSIGNABLE: Final = Kind(409, "unsignable", "This can't be signed here.")
NOT_TAKEN: Final = Kind(502, "not_taken", "The test event was not taken.")


class SendTest(Act):
    """A new event, from here to its job.

    Args:
        receive: what answers at ``/hooks/{source}``.
        public_url: where senders find us; some schemes sign it.
    """

    act = "test"

    def __init__(
        self,
        frame: Frame,
        sources: Sources,
        lists: Lists,
        *,
        receive: ASGIApp,
        public_url: str | None,
        clock: Clock,
    ) -> None:
        super().__init__(frame)
        self._sources = sources
        self._lists = lists
        self._hooks = Router([Route("/hooks/{source}", receive)], redirect_slashes=False)
        self._public_url = public_url
        self._clock = clock

    async def do(self, _: Visit, on: str, __: Mapping[str, str]) -> str:
        source = self._sources.get(on)
        if source is None:
            raise Problem(SOURCE_UNKNOWN)
        event_id = _event_of(await self._sent(source)) or await self._newest(source)
        return f"/console/events/{event_id}" if event_id else f"/console/events?{urlencode({'source': on})}"

    async def _sent(self, source: Source) -> httpx.Response:
        """What we answered.

        Raises:
            Problem: it can't be signed, or was not taken.
        """
        path = f"/hooks/{source.name}"
        signed_url = f"{self._public_url or 'http://localhost'}{path}"
        if source.scheme.needs_secret and not source.secrets:
            raise Problem(UNSIGNABLE, f"{source.name} has no secret, so it refuses everything.")
        try:
            made = signed_sample(
                source.provider, source.scheme, source.secrets, url=signed_url, now=self._clock.now()
            )
        except ValueError as error:
            raise Problem(UNSIGNABLE, f"{source.provider} signs with a key of its own: {error}. Press its own test button instead.") from None  # fmt: skip
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(self._hooks), base_url="http://localhost", trust_env=False
        ) as client:
            try:
                answer = await client.post(path + made.query, content=made.body, headers=list(made.headers))
            except Problem as problem:  # it is the sender's, not that of whoever pressed the button
                raise Problem(NOT_TAKEN, f"{problem.kind.title} {problem.detail or ''}".strip()) from None
        if not answer.is_success:
            raise Problem(NOT_TAKEN, f"We answered {answer.status_code}.")
        return answer

    async def _newest(self, source: Source) -> str | None:
        """Where the provider wants an answer that names no event."""
        page = await self._lists.events(Filter(source=source.name), 1)
        return page.items[0].id if page.items else None


def _event_of(answer: httpx.Response) -> str | None:
    """The event that an answer names; of several the first."""
    try:
        told: Any = answer.json()
        named = told["events"][0]["event_id"] if "events" in told else told["event_id"]
    except (ValueError, KeyError, IndexError, TypeError):
        return None
    return named if isinstance(named, str) and is_id(named, EVENT) else None
