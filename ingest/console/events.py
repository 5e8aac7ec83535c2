"""Events: the list, one event whole, its bytes; and its replay, as it was or with another payload."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from starlette.responses import Response
from starlette.types import Scope

from infra import strict_json
from infra.clock import Clock
from infra.ids import EVENT, is_id
from infra.ledger import Histories, Lists
from infra.ledger.histories import History
from infra.ledger.records import JobStatus
from ingest.api.query import query_of
from ingest.console.excerpts import WHOLE, excerpt, latest, result_excerpt
from ingest.console.listing import SHOWN, asked
from ingest.console.picture import Step, picture
from ingest.console.visit import OPERATORS_ONLY, Act, Frame, View, Visit, already
from ingest.problems import INVALID, NOT_FOUND, Problem
from ingest.replies import attached_reply
from ingest.rerun import RUN_MEANWHILE, Rerun
from ingest.sources import Sources
from ingest.timeline import timeline
from ingest.views import event_view, listed_event_view

_STEPS: Final = 40  # of a timeline, and the first
_EDITABLE: Final = 200_000  # characters
_FORM_OF_PAYLOAD: Final = 4  # a form writes a character as up to three, and more of what is not ASCII


class EventList(View):
    """``/console/events``."""

    def __init__(self, frame: Frame, lists: Lists, clock: Clock) -> None:
        super().__init__(frame)
        self._lists = lists
        self._clock = clock

    async def show(self, visit: Visit, scope: Scope) -> Response:
        wanted = asked(scope, JobStatus, now=self._clock.now())
        page = await self._lists.events(wanted.wanted, SHOWN, wanted.after)
        values = {
            "events": [listed_event_view(event) for event in page.items],
            **wanted.values(page.next),
        }
        return self._frame.page(visit, "events.html", values)


class EventPage(View):
    """``/console/events/{id}``."""

    def __init__(self, frame: Frame, histories: Histories, sources: Sources, clock: Clock) -> None:
        super().__init__(frame)
        self._histories = histories
        self._sources = sources
        self._clock = clock

    async def show(self, visit: Visit, scope: Scope) -> Response:
        history = await known_event(scope, self._histories)
        query = query_of(scope)
        story = timeline(history, self._sources.get(history.event.source))
        whole = "whole" in query
        steps, left_out = _steps(
            story, self._clock.now(), whole=whole, with_log=visit.session.person.sees_payloads
        )
        last = history.jobs[-1].rounds[-1] if history.jobs else None
        values = {
            "event": event_view(history.event),
            "client": history.event.client,
            "job_status": "" if last is None else last.status,
            "result": None if last is None else result_excerpt(last.result, whole=whole),
            "steps": steps,
            "left_out": left_out,
            "asked_raw": "raw" in query,
            "editing": "edit" in query,
            "done": query.get("done"),
        }
        payload = _payload(history.event.body, raw="raw" in query, whole=whole)
        return self._frame.page(visit, "event.html", values | payload)


class EventBytes(View):
    """``/console/events/{id}/body``: a file to save, which no browser shows or runs."""

    def __init__(self, frame: Frame, histories: Histories) -> None:
        super().__init__(frame)
        self._histories = histories

    async def show(self, visit: Visit, scope: Scope) -> Response:
        if not visit.session.person.sees_payloads:
            raise Problem(OPERATORS_ONLY, "Payloads are not shown to viewers here.")
        event = (await known_event(scope, self._histories)).event
        return attached_reply(event.body, f"{event.id}.bin")


class ReplayEvent(Act):
    """The replay of an event as it was. Of those who have seen the same jobs of it, one replays it."""

    act = "replay"

    def __init__(self, frame: Frame, rerun: Rerun) -> None:
        super().__init__(frame)
        self._rerun = rerun

    async def do(self, visit: Visit, on: str, form: Mapping[str, str]) -> str:
        there = f"/console/events/{on}"
        try:
            await self._rerun.event(on, by=visit.by, seen=_number(form.get("seen", "")))
        except Problem as problem:
            if problem.kind is RUN_MEANWHILE:
                return already(there)
            raise
        return there


class EditEvent(Act):
    """A new event with another payload."""

    act = "edit and replay"

    def __init__(self, frame: Frame, rerun: Rerun, *, max_body: int) -> None:
        super().__init__(frame)
        self._rerun = rerun
        self.longest = max_body * _FORM_OF_PAYLOAD

    async def do(self, visit: Visit, on: str, form: Mapping[str, str]) -> str:
        try:
            payload = strict_json.loads(form.get("payload", "").encode("utf-8", "replace"))
        except strict_json.StrictJSONError as error:
            raise Problem(INVALID, f"The payload is no JSON: {error}. Go back; what you wrote is still there.") from None  # fmt: skip
        receipt = await self._rerun.event(on, by=visit.by, payload=payload)
        return f"/console/events/{receipt.event_id}"


async def known_event(scope: Scope, histories: Histories) -> History:
    """The event that the address names.

    Raises:
        Problem: 404 where there is none.
    """
    event_id = scope["path_params"]["id"]
    history = await histories.history(event_id) if is_id(event_id, EVENT) else None
    if history is None:
        raise Problem(NOT_FOUND)
    return history


def _steps(
    story: Sequence[dict[str, Any]], now: datetime, *, whole: bool, with_log: bool
) -> tuple[list[Step], int]:
    """The rows of a timeline as far as a page shows them, the first and the newest; and how many between them it leaves out."""
    lines = [entry for entry in story if entry["kind"] == "log"]
    said = latest(lines, whole=whole) if with_log else []
    hidden = {id(line) for line in lines[: len(lines) - len(said)]}
    first, *rest = picture([entry for entry in story if id(entry) not in hidden], now)
    shown = rest if whole else rest[-_STEPS:]
    return [first, *shown], len(rest) - len(shown) + (len(hidden) if with_log else 0)


def _number(text: str) -> int | None:
    """A number as our own form tells it."""
    return int(text) if re.fullmatch(r"\d{1,4}", text, re.ASCII) else None


def _payload(body: bytes, *, raw: bool, whole: bool) -> dict[str, Any]:
    """The payload as a page can hold it: laid out where it is JSON, as text where it is that, else as a hex dump's first bytes."""
    laid_out = _laid_out(body)
    text = _text(body) if raw or laid_out is None else laid_out
    return {
        "laid_out": laid_out is not None and not raw,
        "payload": excerpt(text, whole=whole),
        "editable": laid_out if laid_out is not None and len(laid_out) <= _EDITABLE else None,
    }


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return body[: WHOLE // 2].hex(" ")


def _laid_out(body: bytes) -> str | None:
    try:
        return json.dumps(strict_json.loads(body), indent=2, ensure_ascii=False)
    except (strict_json.StrictJSONError, UnicodeEncodeError):
        return None
