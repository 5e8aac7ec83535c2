"""Each call as a request, and its answer as a value: no network here, so that both clients share it."""

from collections.abc import AsyncIterable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil
from typing import Any, Final, TypeVar, cast
from urllib.parse import quote
from uuid import uuid4

import httpx
import msgspec

from infra.client.errors import NotFound, NotReached, Refused

LONGEST_WAIT: Final = 60  # seconds that one request may wait for a job
_LONGEST_SILENCE: Final = 60.0  # a comment comes every fifteen seconds
UNCHANGED: Final[Any] = object()  # a replay's payload is that of its event

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Call:
    """One request.

    Args:
        content: the body, as bytes or in pieces; instead of `json`.
        repeatable: whether it may be sent again when no answer came.
    """

    method: str
    path: str
    params: Mapping[str, str | int] = field(default_factory=dict)
    json: Any = None
    content: bytes | Iterable[bytes] | AsyncIterable[bytes] | None = None
    repeatable: bool = True

    def built(self, client: httpx.Client | httpx.AsyncClient) -> httpx.Request:
        """The request as that client sends it."""
        return client.build_request(
            self.method, self.path, params=dict(self.params), json=self.json, content=self.content
        )


def submit(type_: str, payload: Any, options: Mapping[str, Any]) -> Call:
    """``POST /jobs``. It always has an idempotency key, so that it may be sent again."""
    return Call("POST", "/jobs", json=_submission({**options, "type": type_, "payload": payload}))


def submit_many(submissions: Iterable[Mapping[str, Any]]) -> Call:
    """The same with a list."""
    return Call("POST", "/jobs", json=[_submission(one) for one in submissions])


def upload(content: bytes | Iterable[bytes] | AsyncIterable[bytes]) -> Call:
    """``POST /files``. Pieces can be read once only."""
    return Call("POST", "/files", content=content, repeatable=isinstance(content, bytes))


def read(job_id: str, *, wait: float = 0) -> Call:
    """``GET /jobs/{id}``, which may wait for its end."""
    seconds = min(max(ceil(wait), 0), LONGEST_WAIT)
    return Call("GET", _job(job_id), {"wait": seconds} if seconds else {})


def page(path: str, filters: Mapping[str, Any], cursor: str | None) -> Call:
    """``GET /jobs`` and its like."""
    return Call("GET", path, narrowing({**filters, "cursor": cursor}))


def steer(job_id: str, verb: str) -> Call:
    """``POST /jobs/{id}/cancel`` and its like. Repeated, it would be refused: the first may have been heard."""
    return Call("POST", f"{_job(job_id)}/{verb}", repeatable=False)


def look(kind: str, id_: str) -> Call:
    """``GET /events/{id}`` and its like."""
    return Call("GET", f"/{kind}/{quote(id_, safe='')}")


def replay(event_id: str, *, payload: Any, queue: str | None) -> Call:
    """``POST /events/{id}/replay``. Repeated, it would be two jobs."""
    asked = {} if payload is UNCHANGED else {"payload": payload}
    if queue is not None:
        asked["queue"] = queue
    return Call("POST", f"/events/{quote(event_id, safe='')}/replay", json=asked, repeatable=False)


def redeliver(callback_id: str) -> Call:
    """``POST /callbacks/{id}/redeliver``."""
    return Call("POST", f"/callbacks/{quote(callback_id, safe='')}/redeliver", repeatable=False)


def stream_of(job_id: str) -> Call:
    """``GET /jobs/{id}/stream``."""
    return Call("GET", f"{_job(job_id)}/stream")


def stream_of_all(filters: Mapping[str, Any]) -> Call:
    """``GET /stream``."""
    return Call("GET", "/stream", narrowing(filters))


def streaming(
    call: Call, client: httpx.Client | httpx.AsyncClient, after: str | None, *, patience: float
) -> httpx.Request:
    """A stream's request.

    Args:
        after: the last id that came.
        patience: seconds for everything but what the stream says, where a silence of a minute is its end.
    """
    request = call.built(client)
    request.headers["Accept"] = "text/event-stream"
    if after is not None:
        request.headers["Last-Event-ID"] = after
    request.extensions["timeout"] = httpx.Timeout(patience, read=_LONGEST_SILENCE).as_dict()
    return request


def understood(answer: httpx.Response, kind: type[_T]) -> _T:
    """What an answer says; `bytes`: as it is.

    Raises:
        Refused: it is no 2xx.
        NotReached: it is not ours.
    """
    if not answer.is_success:
        raise refusal(answer)
    if kind is bytes:
        return cast("_T", answer.content)
    try:
        return msgspec.json.decode(answer.content, type=kind)
    except msgspec.MsgspecError as error:
        raise NotReached(f"something else than Hookline answers there: {error}") from error


def refusal(answer: httpx.Response) -> Refused:
    """An answer that is no 2xx, to be raised."""
    try:
        told = answer.json()
    except ValueError:
        told = None
    if not isinstance(told, dict):
        told = {}
    kind = NotFound if answer.status_code == httpx.codes.NOT_FOUND else Refused
    return kind(
        answer.status_code,
        str(told.get("code", "")),
        str(told.get("title", answer.reason_phrase)),
        told.get("detail"),
        told,
    )


def headers_of(key: str | None) -> dict[str, str]:
    """What every request carries."""
    return {"User-Agent": "hookline-client"} | ({} if key is None else {"Authorization": f"Bearer {key}"})


def _submission(options: Mapping[str, Any]) -> dict[str, Any]:
    given = {name: _word(value) for name, value in options.items() if value is not None}
    return {"idempotency_key": str(uuid4()), **given}


def narrowing(filters: Mapping[str, Any]) -> dict[str, Any]:
    """What was given of them. A duration says how long ago.

    >>> narrowing({"source": None, "since": timedelta(hours=2)})
    {'since': '7200000ms'}
    """
    return {
        name: f"{value // timedelta(milliseconds=1)}ms" if isinstance(value, timedelta) else _word(value)
        for name, value in filters.items()
        if value is not None
    }


def _job(job_id: str) -> str:
    return f"/jobs/{quote(job_id, safe='')}"


def _word(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value.total_seconds()
    return value.isoformat() if isinstance(value, datetime) else value
