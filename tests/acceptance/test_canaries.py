"""Secrets that nobody else has ever seen are given to real processes, which are then asked, sent, attacked and cut off from Redis; what
they say, keep and show is searched for them.
"""

import json
import time
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from ingest.openapi import document
from tests.acceptance.builders import Server, System, descendants, hmac_hex
from tests.acceptance.inbox import Inbox

pytestmark = pytest.mark.slow  # many requests to processes of its own

REDIS = "canary-of-redis-5f1c"
KEY = "canary-of-the-api-9b27"
READ_KEY = "canary-of-a-reader-40de"
PASSWORD = "canary-of-the-console-77aa"
ACME = "canary-of-acme-c3d8"
STATIC = "canary-of-a-bearer-1e6f"
WHSEC_BYTES = b"canary-of-callbacks-8c4e-by-hand"
WHSEC = f"whsec_{b64encode(WHSEC_BYTES).decode()}"
OWN_WHSEC = f"whsec_{b64encode(b'canary-of-one-source-2a95-by-us!').decode()}"
PRIVATE = f"whsk_{b64encode(b'canary-of-ed25519-6d03-32-bytes!').decode()}"
SETTINGS = {
    "HOOKLINE_SECRET_KEY": "canary-of-the-newest-seal-aa11,canary-of-an-older-seal-bb22",
    "HOOKLINE_API_KEYS": f"tests:{KEY},reader:{READ_KEY}:read",
    "HOOKLINE_API_KEY_CALLBACK_SECRETS": f"tests:{OWN_WHSEC}",
    "HOOKLINE_CONSOLE_PASSWORD": PASSWORD,
    "HOOKLINE_CALLBACK_SECRET": WHSEC,
    "HOOKLINE_CALLBACK_PRIVATE_KEY": PRIVATE,
    "HOOKLINE_LOG": "debug",
    "ACME_SECRET": ACME,
    "STATIC_KEY": STATIC,
    "FIREFLIES_SECRET": "canary-of-fireflies-d0b6",
    "BILLING_SECRET": OWN_WHSEC,
    "OWN_CALLBACK_SECRET": OWN_WHSEC,
    "FIREFLIES_API_KEY": "canary-of-their-api-38f9",
    "EMBEDDINGS_KEY": "canary-of-embeddings-b512",
}
CANARIES = (
    *SETTINGS["HOOKLINE_SECRET_KEY"].split(","),
    *(SETTINGS[name] for name in ("FIREFLIES_SECRET", "FIREFLIES_API_KEY", "EMBEDDINGS_KEY")),
    *(REDIS, KEY, READ_KEY, PASSWORD, ACME, STATIC, WHSEC, OWN_WHSEC, PRIVATE),
)
CONSOLE = ("", "events", "jobs", "failures", "callbacks", "receivers", "queues", "workers", "schedules",
           "sources", "sources/acme", "search?q=echo", "audit")  # fmt: skip


def spellings(canary: str) -> Iterator[bytes]:
    """How a secret could stand somewhere: as it is, without its prefix, in an address, in base64 at any offset."""
    bare = canary.removeprefix("whsec_").removeprefix("whsk_")
    yield from {canary.encode(), bare.encode(), quote(bare, safe="").encode()}
    for offset in range(3):
        whole = b64encode(b"\0" * offset + canary.encode())
        yield whole[4 if offset else 0 : -4]
    yield canary.encode().hex().encode()


SPELT = {canary: tuple(spellings(canary)) for canary in CANARIES}


def found_in(places: Mapping[str, bytes]) -> list[tuple[str, str]]:
    """Which canary is where."""
    return [
        (place, canary)
        for place, content in places.items()
        for canary, spelt in SPELT.items()
        if any(one in content for one in spelt)
    ]


def said(answers: Iterable[httpx.Response]) -> dict[str, bytes]:
    """What answers have told: their heads and bodies, by what was asked for, whose own headers don't count."""
    return {
        f"{number} {answer.request.method} {answer.url.path}": repr(answer.headers.multi_items()).encode()
        + answer.content
        for number, answer in enumerate(answers)
    }


def events(system: System, url: str) -> Iterator[httpx.Response]:
    """Events that hold and events that don't, signed, forged, with secrets in headers where none belong."""
    for type_ in ("echo", "failing", "rejecting", "order"):
        body = json.dumps({"type": type_, "callback_url": url}).encode()
        own = {"Authorization": f"Bearer {KEY}", "Cookie": f"session={PASSWORD}", "X-Api-Key": STATIC}
        for secret in (ACME, ACME[:-1]):
            signed = {"X-Acme-Signature": hmac_hex(secret, body), "X-Acme-Delivery": f"{type_}-1"}
            yield system.http.post("/hooks/acme", content=body, headers=signed | own)
    for source, header in (
        ("bearer", {"Authorization": f"Bearer {STATIC}"}),
        ("intranet", {"X-Api-Key": STATIC}),
    ):
        yield system.http.post(f"/hooks/{source}", json={"type": "echo"}, headers=header)
        yield system.http.post(f"/hooks/{source}", content=b"{", headers=header)
        yield system.http.post(
            f"/hooks/{source}", json={}, headers={name: f"{it}x" for name, it in header.items()}
        )
    for source in ("fireflies", "billing", "stamped", "forgotten", "nowhere"):
        yield system.http.post(f"/hooks/{source}", json={}, headers={"Authorization": f"Bearer {KEY}"})


def work(system: System, url: str) -> Iterator[httpx.Response]:
    """Jobs that end in every way."""
    for type_ in ("reverse", "nobody's"):
        for key in (KEY, READ_KEY, f"{KEY}x"):
            yield system.submit({"type": type_, "callback_url": url}, key=key)


def looks(system: System, ids: Mapping[str, str]) -> Iterator[httpx.Response]:
    """Every address of the API that is read, with a key, as a page, and without."""
    for path, methods in document()["paths"].items():
        if (
            "get" in methods
            and not path.endswith(("/stream", "/ws", "/docs"))
            and path not in ("/stream", "/ws")
        ):
            asked = path.format_map(ids | {"source": "acme", "name": "acme", "job": ids["id"]})
            for accept in ("application/json", "text/html"):
                for key in (KEY, f"{KEY}x"):
                    yield system.http.get(asked, headers={"Authorization": f"Bearer {key}", "Accept": accept})
    yield system.http.get(f"/jobs?source={'x' * 500}", headers={"Authorization": f"Bearer {KEY}"})
    yield system.http.request("BREW", "/jobs", headers={"Authorization": f"Bearer {KEY}"})


def console(system: System, ids: Mapping[str, str]) -> Iterator[httpx.Response]:
    """Every page of the console, for who is signed in."""
    with httpx.Client(base_url=system.http.base_url, trust_env=False, timeout=30) as browser:
        for password in (f"{PASSWORD}x", PASSWORD):
            yield browser.post("/console/login", data={"password": password})
        shown = [f"jobs/{ids['id']}", f"events/{ids['event']}"]
        for path in (*CONSOLE, *shown):
            page = browser.get(f"/console/{path}")
            assert page.status_code == 200, path
            yield page


@pytest.fixture
def guarded(server: Server, build: Callable[..., System]) -> System:
    """A system whose Redis wants a password."""
    with server.connect() as client:
        client.config_set("requirepass", REDIS)
    address = server.url.removeprefix("unix://")
    return build(f"unix://:{REDIS}@{address}", **SETTINGS)


def test_no_secret_is_said_kept_or_shown_anywhere(guarded: System, server: Server, inbox: Inbox) -> None:
    """A104: answers, pages, numbers, logs, everything that Redis has ever written, the titles of processes."""
    system, url = guarded, inbox.answer("canaries", 204)
    web, worker = system.web(), system.worker()
    answers = [*events(system, url), *work(system, url)]
    told = next(answer.json() for answer in answers if answer.status_code == 202)
    for answer in answers:
        if answer.status_code == 202:
            job_id = answer.json()["job_id"]
            reading = {"Authorization": f"Bearer {KEY}"}
            assert system.http.get(f"/jobs/{job_id}", params={"wait": 30}, headers=reading).json()["ended_at"]
    ids = {"id": told["job_id"], "event": told["event_id"]}
    answers += [
        *looks(system, ids),
        system.http.get(f"/events/{ids['event']}", headers={"Authorization": f"Bearer {KEY}"}),
        system.http.get(f"/events/{ids['event']}/export", headers={"Authorization": f"Bearer {KEY}"}),
        *console(system, ids),
    ]
    for words in (["doctor"], ["sources", "show", "acme"], ["jobs", "show", ids["id"]], ["queues", "list"]):
        system.run("hookline", *words, said="").process.wait(30)
    running = [pid for one in (web, worker) for pid in (one.pid, *descendants(one.pid))]
    titles = {f"title of {pid}": Path(f"/proc/{pid}/cmdline").read_bytes() for pid in running}
    given = {"the environment": Path(f"/proc/{web.pid}/environ").read_bytes()}
    server.kill()
    answers += [*events(system, url), *looks(system, ids)]
    server.start()  # and wants no password any more, which is another thing to complain of
    time.sleep(1)

    everything = (
        said(answers)
        | titles
        | {f"log {number}": one.output().encode() for number, one in enumerate(system.started)}
        | {str(path): path.read_bytes() for path in server.directory.rglob("*") if path.is_file()}
        | {f"callback {post.id}": repr(post).encode() for post in inbox.posts("canaries")}
    )
    assert {answer.status_code for answer in answers} >= {200, 202, 401, 403, 404, 405, 422, 503}
    assert any(path.endswith(".aof") for path in everything)
    assert found_in(everything) == []
    assert {canary for _, canary in found_in(given)} == set(CANARIES), "the search itself finds nothing"
