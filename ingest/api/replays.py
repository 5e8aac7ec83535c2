"""``POST /replays``, ``GET /replays``, ``GET /replays/{id}`` and ``POST /replays/{id}/cancel``: many jobs, again."""

from typing import Any, Final

from starlette.responses import Response
from starlette.types import Receive, Scope

from infra.clock import Clock
from infra.filters import FILTERS
from infra.ids import JOB, REPLAY, is_id
from infra.ledger import Replays
from infra.ledger.bulk import BulkReplay, Terms
from infra.ledger.lists import Filter
from infra.ledger.records import TERMINAL_STATUSES, JobStatus
from infra.signatures import Headers
from ingest.api.body import filter_in, is_dry_run, read_object
from ingest.api.endpoint import Endpoint
from ingest.keys import Keys
from ingest.problems import INVALID, NOT_FOUND, REPLAY_ENDED, Problem
from ingest.replies import json_reply
from ingest.views import replay_view, selection_view

MOST_IDS: Final = 1000

_LONGEST: Final = 256 * 1024
_LISTED: Final = 50
_RATES: Final = range(1, 1001)
_WANTED: Final = (*FILTERS, "ids")


class StartReplay(Endpoint):
    """What a filter finds is counted (`dry_run`), or run again; for a key that may operate."""

    methods = ("POST",)

    def __init__(self, *, keys: Keys, replays: Replays, clock: Clock, queue: str) -> None:
        self._keys = keys
        self._replays = replays
        self._clock = clock
        self._queue = queue

    async def answer(self, scope: Scope, receive: Receive) -> Response:
        by = self._keys.require(Headers(scope["headers"]), "operate").name
        sent = await read_object(
            scope, receive, limit=_LONGEST, known=("filter", *_WANTED, "dry_run", "rate", "max_error_share")
        )
        asked = _asked(sent)
        ids = _ids(asked.pop("ids", None))
        wanted, terms, dry_run = self._wanted(asked, ids), self._terms(sent), is_dry_run(sent)
        chosen = await self._replays.select(wanted, ids=ids)
        if dry_run:
            return json_reply(selection_view(chosen))
        told = {**asked, **({} if wanted.status is None else {"status": wanted.status})}
        replay_id = await self._replays.start(
            chosen, terms, by=by, asked=told if ids is None else {**told, "ids": len(ids)}
        )
        replay = await _known(self._replays, replay_id)
        return json_reply(replay_view(replay), 202, {"Location": f"/replays/{replay_id}"})

    def _wanted(self, asked: dict[str, Any], ids: list[str] | None) -> Filter:
        """Where neither a status nor ids are named, the dead letters are meant."""
        words = asked if ids is not None or "status" in asked else {**asked, "status": JobStatus.FAILED}
        wanted = filter_in(words, JobStatus, now=self._clock.now(), at="$.filter")
        if wanted.status is not None and wanted.status not in TERMINAL_STATUSES:
            raise Problem(INVALID, f"Needs one of {', '.join(sorted(TERMINAL_STATUSES))} - at `status`")
        if ids is not None and words.keys() - {"status"}:
            raise Problem(INVALID, "Goes with `status`, and with no other filter - at `ids`")
        return wanted

    def _terms(self, sent: dict[str, Any]) -> Terms:
        usual = Terms(queue=self._queue)
        rate, share = sent.get("rate", usual.rate), sent.get("max_error_share", usual.share)
        if not isinstance(rate, int) or rate not in _RATES or isinstance(rate, bool):
            raise Problem(INVALID, f"Needs a whole number from 1 to {_RATES[-1]}, a second - at `$.rate`")
        if not isinstance(share, int | float) or isinstance(share, bool) or not 0 <= share <= 1:
            raise Problem(INVALID, "Needs a number from 0 to 1 - at `$.max_error_share`")
        return Terms(queue=self._queue, rate=rate, share=share)


class _Replays(Endpoint):
    """What needs the ledger's bulk replays."""

    def __init__(self, *, keys: Keys, replays: Replays) -> None:
        self._keys = keys
        self._replays = replays


class ListReplays(_Replays):
    """The newest, for a key that may read."""

    methods = ("GET", "HEAD")

    async def answer(self, scope: Scope, _: Receive) -> Response:
        self._keys.require(Headers(scope["headers"]), "read")
        return json_reply({"items": [replay_view(one) for one in await self._replays.newest(_LISTED)]})


class ReadReplay(_Replays):
    """One, as it stands; for a key that may read."""

    methods = ("GET", "HEAD")

    async def answer(self, scope: Scope, _: Receive) -> Response:
        self._keys.require(Headers(scope["headers"]), "read")
        return json_reply(replay_view(await _known(self._replays, scope["path_params"]["id"])))


class CancelReplay(_Replays):
    """One begins no further job; for a key that may operate. What it has begun goes on."""

    methods = ("POST",)

    async def answer(self, scope: Scope, _: Receive) -> Response:
        by = self._keys.require(Headers(scope["headers"]), "operate").name
        replay = await _known(self._replays, scope["path_params"]["id"])
        if not await self._replays.halt(replay.id, by=by):
            raise Problem(REPLAY_ENDED)
        return json_reply(replay_view(await _known(self._replays, replay.id)))


async def _known(replays: Replays, replay_id: str) -> BulkReplay:
    found = await replays.replay(replay_id) if is_id(replay_id, REPLAY) else None
    if found is None:
        raise Problem(NOT_FOUND)
    return found


def _asked(sent: dict[str, Any]) -> dict[str, Any]:
    """What is wanted: the object `filter`, or its members beside the rest."""
    inner = sent.get("filter", {})
    if not isinstance(inner, dict):
        raise Problem(INVALID, "Needs an object - at `$.filter`")
    for name in inner:
        if name not in _WANTED:
            raise Problem(INVALID, f"Takes {', '.join(_WANTED)} - at `$.filter.{name}`")
    return {**{name: sent[name] for name in _WANTED if name in sent}, **inner}


def _ids(sent: Any) -> list[str] | None:
    if sent is None:
        return None
    if (
        not isinstance(sent, list)
        or not 1 <= len(sent) <= MOST_IDS
        or not all(isinstance(one, str) for one in sent)
    ):
        raise Problem(INVALID, f"Needs 1 to {MOST_IDS} ids of jobs - at `ids`")
    for one in sent:
        if not is_id(one, JOB):
            raise Problem(INVALID, f"Needs ids of jobs, such as {JOB}01k… - at `ids`")
    return list(dict.fromkeys(sent))
