"""The addresses of a web process over several shards: which shard answers where."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Final

from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from infra.ledger import LedgerError
from infra.signatures import Headers
from ingest.addresses import addresses
from ingest.api.health import Readyz
from ingest.api.query import query_of
from ingest.api.readiness import Readiness
from ingest.keys import Keys
from ingest.live import socket
from ingest.parts import Parts
from ingest.problems import NOT_FOUND, NOT_READABLE, SHARD_UNSAID, Problem
from ingest.shards.homes import Homes
from ingest.shards.together import AllReady

_OF_ONE: Final = ("/jobs/{id}", "/events/{id}", "/callbacks/{id}", "/replays/{id}")
_OF_ALL: Final = (
    "/hooks/", "/batches/", "/sources/", "/files", "/artifacts/", "/assets/", "/favicon.ico", "/openapi.json", "/docs",
    "/.well-known/", "/healthz",
)  # fmt: skip
_JOBS, _READYZ, _CONSOLE = "/jobs", "/readyz", "/console"

Choose = Callable[[Scope], Awaitable[int]]


def shard_addresses(each: Sequence[Parts], homes: Homes) -> list[Route | WebSocketRoute]:
    """The table.

    What names one record is answered by the shard that has it. What is the same everywhere is answered by the first, and what comes
    of it is kept there. All the rest is about what one ledger holds: at ``/shards/{shard}/…`` by that one.

    Args:
        each: the parts of each shard, by its number; they share where new events go.
    """
    made: list[Route | WebSocketRoute] = []
    for rows in zip(*map(addresses, each), strict=True):
        made += _shown(rows, homes, each[0].keys)
    ready = AllReady([Readiness(parts.ledger, in_memory=parts.in_memory) for parts in each])
    no_console = Chosen([], _none("Each shard has a console at a web process of its own."))
    return [
        *made,
        Route(_CONSOLE, no_console),
        Route(f"{_CONSOLE}/{{rest:path}}", no_console),
        Route(_READYZ, Readyz(ready).answer),
    ]


def _shown(
    rows: Sequence[Route | WebSocketRoute], homes: Homes, keys: Keys
) -> Iterator[Route | WebSocketRoute]:
    """One address, which every shard has, as the whole has it."""
    row, apps = rows[0], [row.app for row in rows]
    make, path = type(row), row.path
    if path.startswith(_OF_ONE):
        yield make(path, Chosen(apps, _home(homes, keys)))
    elif path.startswith(_OF_ALL):
        yield row
    elif path != _READYZ and not path.startswith(_CONSOLE):
        yield make(f"/shards/{{shard}}{path}", Chosen(apps, _number(len(apps), looked_at=path == _JOBS)))
        unsaid = _none(f"Ask /shards/0{path} to /shards/{len(apps) - 1}{path}.")
        yield make(path, Chosen(apps, _submitted(unsaid) if path == _JOBS else unsaid))


class Chosen:
    """The same endpoint of several shards, as an ASGI application; each request goes to one of them.

    Args:
        apps: by the shard's number.
        choose: which of them; raises `Problem` or `LedgerError` where there is none.
    """

    def __init__(self, apps: Sequence[ASGIApp], choose: Choose) -> None:
        self._apps = apps
        self._choose = choose

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            shard = await self._choose(scope)
        except (Problem, LedgerError) as error:
            if scope["type"] != "websocket":
                raise
            await receive()  # that it wants to connect
            problem = error if isinstance(error, Problem) else Problem(NOT_READABLE)
            code = socket.REFUSED if problem.kind.status < 500 else socket.LATER
            await socket.refuse(scope, send, code, problem.kind.code)
        else:
            await self._apps[shard](scope, receive, send)


def _home(homes: Homes, keys: Keys) -> Choose:
    """Whoever has the record; where nobody has it, the first says so as all would. Strangers have no shard asked."""

    async def choose(scope: Scope) -> int:
        keys.recognise(Headers(scope["headers"]), query_of(scope).get("token"))
        return await homes.of(scope["path_params"]["id"]) or 0

    return choose


def _number(shards: int, *, looked_at: bool) -> Choose:
    """The one that the path names.

    Args:
        looked_at: and no more: what is submitted finds its own way, and goes to no shard by name.
    """
    by_name = {str(shard): shard for shard in range(shards)}

    async def choose(scope: Scope) -> int:
        if looked_at and scope["method"] == "POST":
            raise Problem.method_not_allowed("GET")
        shard = by_name.get(scope["path_params"]["shard"])
        if shard is None:
            raise Problem(NOT_FOUND, f"There are shards 0 to {shards - 1}.")
        return shard

    return choose


def _none(detail: str) -> Choose:
    async def choose(_: Scope) -> int:
        raise Problem(SHARD_UNSAID, detail)

    return choose


def _submitted(unsaid: Choose) -> Choose:
    """What is submitted finds its own way."""

    async def choose(scope: Scope) -> int:
        return 0 if scope["method"] == "POST" else await unsaid(scope)

    return choose
