"""A stream over a WebSocket (RFC 6455): each message a JSON text; what the client sends is passed over."""

import asyncio
from typing import Final

from starlette.types import Receive, Scope, Send

from infra.tasks import end
from ingest.intake import departure
from ingest.live.streams import Stream
from ingest.live.watcher import End

PROTOCOL: Final = "hookline"

OVER, RESTART, REFUSED, LATER = 1000, 1012, 1008, 1013  # RFC 6455, section 7.4; IANA's registry
_CODES: Final = {None: OVER, End.SLOW: LATER, End.STOPPING: RESTART}


async def refuse(scope: Scope, send: Send, code: int, reason: str) -> None:
    """Close it as soon as it is open."""
    await _accept(scope, send)
    await _close(send, code, reason)


async def tell(stream: Stream, scope: Scope, receive: Receive, send: Send) -> None:
    """Tell everything, from the first message to the last."""
    watcher = stream.watcher
    leaving = asyncio.create_task(departure(receive))
    leaving.add_done_callback(lambda _: watcher.end(End.GONE))
    try:
        await _accept(scope, send)
        async for messages in stream.batches():
            for message in messages:
                await send({"type": "websocket.send", "text": message.text})
        if watcher.ended is not End.GONE:
            await _close(send, _CODES[watcher.ended])
    except OSError:
        pass  # it went away meanwhile: uvicorn says so when something is sent
    finally:
        stream.close()
        await end(leaving)


async def _accept(scope: Scope, send: Send) -> None:
    """A client that offers protocols, as one that brings its key in their list, has to be told one of them."""
    offered = PROTOCOL in scope.get("subprotocols", ())
    await send({"type": "websocket.accept", "subprotocol": PROTOCOL if offered else None})


async def _close(send: Send, code: int, reason: str = "") -> None:
    await send({"type": "websocket.close", "code": code, "reason": reason})
