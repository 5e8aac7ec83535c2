"""An endpoint that reads, verifies, parses, and stores nothing: as people write it (`plain`), and as fast as it gets (`lean`).

`lean` is an ASGI class without request or response objects, a schema for the parser, and a garbage collector told to
stay out of the way.
"""

import gc
import hashlib
import hmac
import json
import os
import uuid
from pathlib import Path

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from benchmarks.signed import PATH, SECRET


async def plain_endpoint(request: Request) -> JSONResponse:
    body = await request.body()
    expected = "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, request.headers.get("x-hub-signature-256", "")):
        return JSONResponse({"error": "signature"}, 401)
    event = json.loads(body)
    return JSONResponse({"id": str(uuid.uuid4()), "ref": event["ref"], "status": "queued"}, 202)


class Push(msgspec.Struct):
    """What is read of the body."""

    ref: str
    number: int


class LeanEndpoint:
    """The same as an ASGI application."""

    _decode = msgspec.json.Decoder(Push).decode

    async def __call__(self, scope, receive, send):
        body = (await receive())["body"]
        given = dict(scope["headers"]).get(b"x-hub-signature-256", b"")
        expected = b"sha256=" + hmac.digest(SECRET.encode(), body, "sha256").hex().encode()
        if not hmac.compare_digest(expected, given):
            await JSONResponse({"error": "signature"}, 401)(scope, receive, send)
            return
        self._decode(body)
        answer = b'{"id":"%s","status":"queued"}' % str(uuid.uuid4()).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 202, "headers": headers})
        await send({"type": "http.response.body", "body": answer})


def answering() -> Starlette:
    """One that answers GET with the JSON of a file, written anew each time."""
    answer = json.loads(Path(os.environ["BENCH_ANSWER"]).read_bytes())

    async def endpoint(_: Request) -> JSONResponse:
        return JSONResponse(answer)

    return Starlette(routes=[Route("/", endpoint)])


def plain() -> Starlette:
    return Starlette(routes=[Route(PATH, plain_endpoint, methods=["POST"])])


def lean() -> Starlette:
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    return Starlette(routes=[Route(PATH, LeanEndpoint())])
