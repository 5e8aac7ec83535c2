"""FastAPI and RQ, as people write it: verify, parse, `queue.enqueue`, answer."""

import hashlib
import hmac
import json

from fastapi import FastAPI, HTTPException, Request
from redis import Redis
from rq import Queue

from benchmarks.peers.jobs import REDIS
from benchmarks.signed import PATH, SECRET

app = FastAPI()
queue = Queue(connection=Redis.from_url(REDIS))


def process(event):
    return event["ref"]


@app.post(PATH, status_code=202)
async def receive(request: Request):
    body = await request.body()
    expected = "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, request.headers.get("x-hub-signature-256", "")):
        raise HTTPException(status_code=401, detail="signature")
    job = queue.enqueue(process, json.loads(body))
    return {"id": job.id, "status": "queued"}
