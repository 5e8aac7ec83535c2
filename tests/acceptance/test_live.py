"""Watching over HTTP: real web processes behind each other's backs, a real worker (CONTRACT, section 6; docs/live.md)."""

import json
import os
import shutil
import socket as sockets
import subprocess
import threading
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, ConnectionClosedOK
from websockets.frames import Close

from infra.ledger import keys
from tests.acceptance.builders import API_KEY, READ_KEY, Server, System, assert_problem, free_port
from tests.acceptance.inbox import Inbox
from tests.acceptance.watching import Event, events, messages, socket, stream, watching
from tests.conftest import missing

pytestmark = pytest.mark.slow  # many processes, one after the other


@pytest.fixture(scope="module")
def pair(house: System) -> tuple[System, tuple[str, str]]:
    """The shared house with a second web process: the ports of both."""
    other = str(free_port())
    house.web(PORT=other)
    return house, (house.environ["PORT"], other)


def submit(house: System, kind: str = "gated", **fields: Any) -> tuple[str, str]:
    """A job that waits at a gate: its id and the gate's name."""
    gate = uuid.uuid4().hex
    told = house.submit({"type": kind, "payload": {"gate": gate}, **fields}).json()
    return told["job_id"], gate


def upto(end: str, told: Iterator[Event]) -> list[Event]:
    """The events up to the first of that name, or that tells that."""
    found = [next(told)]
    while end not in (found[-1].event, found[-1].told):
        found.append(next(told))
    return found


def code_of(closed: pytest.ExceptionInfo[ConnectionClosed]) -> int | None:
    return closed.value.rcvd.code if closed.value.rcvd else None


def shorts(told: list[Event]) -> list[tuple[str, Any]]:
    return [(each.event, each.told) for each in told]


UPGRADE = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)
WHOLE = [("progress", 1), ("log", "at the gate"), ("status", "finished"), ("callback", "delivered")]


# -- one job -----------------------------------------------------------------------------------------------------------


def test_a_job_is_watched_from_how_it_stands_to_its_callback(house: System, inbox: Inbox) -> None:
    job_id, gate = submit(house, run_in="1s", callback_url=inbox.url(uuid.uuid4().hex))
    with watching(house, f"/jobs/{job_id}/stream") as told:
        first = next(told)
        assert (first.event, first.told, first.data["snapshot"]) == ("status", "scheduled", "start")
        assert first.data["job"]["id"] == job_id
        assert first.data["job"]["callback"]["status"] == "pending"
        found = [next(told) for _ in range(4)]
        house.open_gate(gate)
        found += list(told)
    assert shorts(found) == [("status", "queued"), ("status", "started"), *WHOLE]
    progress = found[2].data
    assert progress["progress"] == {
        "current": 1, "total": 4, "percent": 25.0, "message": "waiting", "stage": "gate", "item": gate,
    }  # fmt: skip
    for each in found:
        named = {name: each.data[name] for name in ("job_id", "source", "type", "queue", "tag")}
        assert named == {"job_id": job_id, "source": "api", "type": "gated", "queue": "default", "tag": None}


def test_a_link_watches_its_own_job_and_no_other(house: System) -> None:
    """A092: a link that reads may watch, for that is reading; A090: it watches nothing else."""
    job_id, gate = submit(house)
    told = house.submit({"type": "echo"}).json()
    token = told["status_url"].partition("token=")[2]
    house.open_gate(gate)
    with watching(house, f"/jobs/{told['job_id']}/stream", key=None, token=token) as watched:
        assert [*watched][-1].told == "finished"
    with stream(house, f"/jobs/{job_id}/stream", key=None, token=token) as answer:
        answer.read()
        assert_problem(answer, 404, "not_found")
    with stream(house, "/stream", key=None, token=token) as answer:
        answer.read()
        assert_problem(answer, 401, "unauthorized")


def test_a_browser_that_comes_back_after_the_end_is_sent_away(house: System) -> None:
    """204 is how an EventSource is told to come back no more."""
    job_id = house.submit({"type": "echo"}).json()["job_id"]
    house.ended(job_id)
    with watching(house, f"/jobs/{job_id}/stream") as told:
        (last,) = told
    with stream(house, f"/jobs/{job_id}/stream", last_id=last.id) as answer:
        assert (answer.status_code, answer.read()) == (204, b"")


def test_what_stands_between_is_asked_to_pass_on_what_comes(house: System) -> None:
    """A094; and no other site may read it, A093: there is no Access-Control-Allow-Origin."""
    job_id = house.submit({"type": "echo"}).json()["job_id"]
    with stream(house, f"/jobs/{job_id}/stream") as answer:
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Accel-Buffering"] == "no"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]
        assert next(answer.iter_lines()) == "retry: 2000"


# -- cut and resumed ---------------------------------------------------------------------------------------------------


def test_a_watcher_that_is_cut_at_any_event_misses_nothing_and_gets_nothing_twice(
    pair: tuple[System, tuple[str, str]], inbox: Inbox
) -> None:
    """One watcher stays, one is cut after every single event and comes back to the other process."""
    house, ports = pair
    job_id, gate = submit(house, run_in="500ms", callback_url=inbox.url(uuid.uuid4().hex))
    path = f"/jobs/{job_id}/stream"
    stayed: list[Event] = []
    begun = threading.Event()

    def stay() -> None:
        with watching(house, path, port=ports[0]) as told:
            for each in told:
                stayed.append(each)
                begun.set()

    staying = threading.Thread(target=stay)
    staying.start()
    assert begun.wait(10)
    hopped, last_id = [stayed[0]], stayed[0].id
    while hopped[-1].told != "delivered":
        if hopped[-1].event == "log":
            house.open_gate(gate)
        with watching(house, path, last_id=last_id, port=ports[len(hopped) % 2]) as told:
            hopped.append(next(told))
            last_id = hopped[-1].id
    staying.join(20)
    assert shorts(stayed[1:]) == [("status", "queued"), ("status", "started"), *WHOLE]
    assert hopped == stayed
    for place, cut in enumerate(stayed[:-1]):  # and long after
        with watching(house, path, last_id=cut.id, port=ports[place % 2]) as told:
            assert list(told) == stayed[place + 1 :]


@pytest.mark.parametrize("last_id", ["nonsense", "1-0", "9999999999999-0-0", "0-0", "5-5-5-5", "é" * 3])
def test_an_id_that_the_stream_does_not_hold_gets_how_things_stand(house: System, last_id: str) -> None:
    job_id = house.submit({"type": "echo"}).json()["job_id"]
    house.ended(job_id)
    with watching(house, f"/jobs/{job_id}/stream", last_event_id=last_id) as told:
        (only,) = told
    assert (only.told, only.data["snapshot"]) == ("finished", "gap")


def test_what_was_trimmed_is_owned_up_to(build: Callable[..., System]) -> None:
    """By a process that did not see it; one that did remembers it."""
    house = build()
    house.web()
    house.worker()
    job_id, gate = submit(house)
    with watching(house, "/stream") as told:
        house.submit({"type": "echo"})
        cut = next(told)
    while house.job(job_id)["progress"] is None:
        pass
    house.redis.xtrim(keys.LIVE, maxlen=0, approximate=False)
    port = str(free_port())
    house.web(PORT=port)
    with watching(house, f"/jobs/{job_id}/stream", last_id=cut.id, port=port) as told:
        first = next(told)
        assert (first.told, first.data["snapshot"]) == ("started", "gap")
        assert first.data["job"]["progress"]["current"] == 1
        house.open_gate(gate)
        assert shorts(list(told)) == [("status", "finished")]
    with watching(house, "/stream", last_id=cut.id, port=port) as told:
        assert next(told).event == "gap"


# -- all jobs ----------------------------------------------------------------------------------------------------------


def test_all_jobs_are_watched_or_those_with_a_source_queue_type_or_tag(
    pair: tuple[System, tuple[str, str]],
) -> None:
    """Progress and log lines don't say whose they are; the filter holds for them all the same."""
    house, ports = pair
    tag = uuid.uuid4().hex
    wanted, gate = submit(house, tag=tag)
    with (
        watching(house, "/stream", tag=tag) as by_tag,
        watching(house, "/stream", port=ports[1], source="api", type="gated", tag=tag) as by_all,
        watching(house, "/stream", source="acme") as by_source,
    ):
        other, other_gate = submit(house)
        house.open_gate(gate)
        house.open_gate(other_gate)
        house.ended(other)
        sent = house.send({"type": "echo", "of": uuid.uuid4().hex}).json()["job_id"]
        found = upto("finished", by_tag)
        assert {each.data["job_id"] for each in found} == {wanted}
        assert {each.data["tag"] for each in found} == {tag}
        later = upto("finished", by_all)  # it began to watch a little later
        assert later == found[-len(later) :]
        assert next(by_source).data["job_id"] == sent


def test_all_jobs_are_resumed_across_processes(pair: tuple[System, tuple[str, str]]) -> None:
    house, ports = pair
    tag = uuid.uuid4().hex
    whole: list[Event] = []
    with watching(house, "/stream", tag=tag) as told:
        house.submit([{"type": "echo", "tag": tag} for _ in range(3)])
        for _ in range(3):
            whole += upto("finished", told)
    for place in range(len(whole) - 1):
        with watching(house, "/stream", tag=tag, last_id=whole[place].id, port=ports[place % 2]) as told:
            assert [next(told) for _ in whole[place + 1 :]] == whole[place + 1 :]


# -- WebSockets --------------------------------------------------------------------------------------------------------


def test_a_socket_tells_the_same(house: System, inbox: Inbox) -> None:
    job_id, gate = submit(house, run_in="500ms", callback_url=inbox.url(uuid.uuid4().hex))
    with (
        watching(house, f"/jobs/{job_id}/stream") as told,
        socket(house, f"/jobs/{job_id}/ws") as connection,
    ):
        by_socket = [next(messages(connection))]
        for each in messages(connection):
            by_socket.append(each)
            if each.event == "log":
                house.open_gate(gate)
            if each.event == "callback":
                break
        with pytest.raises(ConnectionClosedOK) as closed:
            connection.recv(timeout=20)
        assert code_of(closed) == 1000
        assert by_socket == list(told)
    cut = by_socket[2]
    with socket(house, f"/jobs/{job_id}/ws?last_event_id={cut.id}") as connection:
        assert [next(messages(connection)) for _ in by_socket[3:]] == by_socket[3:]


def test_a_browser_brings_its_key_among_the_protocols(house: System) -> None:
    encoded = urlsafe_b64encode(READ_KEY.encode()).decode().rstrip("=")
    protocols = ["hookline", f"hookline.bearer.{encoded}"]
    with socket(house, "/ws?source=acme", key=None, subprotocols=protocols) as connection:
        assert connection.subprotocol == "hookline"
        job_id = house.send({"type": "echo", "of": uuid.uuid4().hex}).json()["job_id"]
        assert next(messages(connection)).data["job_id"] == job_id


@pytest.mark.parametrize(
    ("path", "options", "reason"),
    [
        ("/ws", {"key": None}, "unauthorized"),
        ("/ws", {"key": "wrong"}, "unauthorized"),
        ("/ws", {"key": None, "subprotocols": ["hookline", "hookline.bearer.a"]}, "unauthorized"),
        ("/ws", {"key": None, "subprotocols": ["hookline.bearer.4pyT"]}, "unauthorized"),
        ("/ws", {"key": None, "origin": "https://evil.test"}, "unauthorized"),
        ("/ws?nonsense=1", {}, "invalid"),
        ("/jobs/job_none/ws", {}, "not_found"),
        ("/jobs/job_01k00000000000000000000000/ws", {}, "not_found"),
        ("/jobs/job_01k00000000000000000000000/ws?token=x", {"key": None}, "unauthorized"),
    ],
)
def test_a_socket_that_may_not_watch_is_closed_with_a_reason(
    house: System, path: str, options: dict[str, Any], reason: str
) -> None:
    """A083, A090; and another site's page brings no key by itself, as it would a cookie: A087 has nothing to stand on here."""
    with socket(house, path, **options) as connection, pytest.raises(ConnectionClosedError) as closed:
        connection.recv(timeout=20)
    assert closed.value.rcvd == Close(1008, reason)


def test_what_a_socket_says_is_passed_over_and_bounded(house: System) -> None:
    with socket(house, "/ws") as connection:
        for _ in range(100):
            connection.send("hello")
        house.submit({"type": "echo"})
        assert next(messages(connection)).event == "status"
        connection.send("x" * 5000)
        with pytest.raises(ConnectionClosed) as closed:
            for _ in messages(connection):
                pass
        assert code_of(closed) == 1009


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ("X-Long: " + "x" * 9_000, 400),
        ("X-Long: " + "x" * 17_000, 431),
        ("\r\n".join(f"X-{number}: 1" for number in range(100)), 431),
        ("Content-Length: 5", 400),
        ("Host: b", 400),
        ("Sec-WebSocket-Key: b", 400),
        ("Sec-WebSocket-Protocol: =", 400),
    ],
)
def test_an_upgrade_that_can_not_be_made_is_answered(house: System, headers: str, status: int) -> None:
    """And hung up on: nobody may hold a connection so."""
    with sockets.create_connection(("127.0.0.1", int(house.environ["PORT"])), timeout=5) as connection:
        connection.sendall(f"GET /ws HTTP/1.1\r\nHost: h\r\n{UPGRADE}{headers}\r\n\r\n".encode())
        answer = connection.makefile("rb").read()
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())


def test_no_token_stands_in_the_log(house: System) -> None:
    """A104: uvicorn notes the address of every WebSocket, with what stands behind the question mark."""
    job_id = house.submit({"type": "echo"}).json()["job_id"]
    house.ended(job_id)
    with (
        pytest.raises(ConnectionClosedError),
        socket(house, f"/jobs/{job_id}/ws?token=s3cret-token", key=None) as at,
    ):
        at.recv(timeout=20)
    with watching(house, f"/jobs/{job_id}/stream") as told:
        assert [*told]
    assert not [line for one in house.started for line in one.output().splitlines() if "s3cret-token" in line]


# -- who may not -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "key", "status", "code"),
    [
        ("/stream", None, 401, "unauthorized"),
        ("/stream", "wrong", 401, "unauthorized"),
        ("/stream?nonsense=1", API_KEY, 422, "invalid"),
        ("/jobs/job_01k00000000000000000000000/stream", None, 401, "unauthorized"),
        ("/jobs/job_01k00000000000000000000000/stream", API_KEY, 404, "not_found"),
        ("/jobs/nonsense/stream", API_KEY, 404, "not_found"),
        ("/jobs/job_01k00000000000000000000000/stream?token=" + "é" * 30, None, 401, "unauthorized"),
        ("/jobs/job_01k00000000000000000000000/stream?token=" + "x" * 9000, None, 401, "unauthorized"),
    ],
)
def test_a_refusal_comes_before_the_stream(
    house: System, path: str, key: str | None, status: int, code: str
) -> None:
    """A083, A090: JSON, as for every other call."""
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    assert_problem(house.http.get(path, headers=headers), status, code)


def test_a_stream_is_only_got(house: System) -> None:
    answer = house.http.post("/stream", headers={"Authorization": f"Bearer {API_KEY}"})
    assert_problem(answer, 405, "method_not_allowed")
    assert answer.headers["Allow"] == "GET"


# -- troubles ----------------------------------------------------------------------------------------------------------


def test_streams_outlive_redis_and_go_on_behind_their_last_event(
    build: Callable[..., System], server: Server
) -> None:
    house = build()
    house.web()
    house.worker()
    with watching(house, "/stream") as all_told:
        job_id, gate = submit(house)
        with watching(house, f"/jobs/{job_id}/stream") as told:
            before = upto("log", told)
            server.kill()
            server.start()
            house.open_gate(gate)
            after = list(told)
        assert shorts(after) == [("status", "finished")]
        everything = upto("finished", all_told)
        assert everything[-len(before) :] == [*before[1:], *after]
        assert {each.event for each in everything} == {"status", "progress", "log"}


def test_however_many_watch_one_connection_reads(build: Callable[..., System]) -> None:
    house = build()
    house.web()
    job_id, _ = submit(house)
    with ExitStack() as watchers:
        for path in ("/stream", f"/jobs/{job_id}/stream") * 10:
            answer = watchers.enter_context(stream(house, path))
            if path != "/stream":
                next(events(answer.iter_lines()))
        readers = [one for one in house.redis.client_list() if one["cmd"] in ("xread", "subscribe")]
        assert len(readers) == 1


def test_a_process_that_stops_sends_its_watchers_away_at_once(build: Callable[..., System]) -> None:
    """Streams, sockets, and requests that wait: none of them holds a deploy up."""
    house = build()
    web = house.web()
    job_id, _ = submit(house)
    with (
        stream(house, f"/jobs/{job_id}/stream") as answer,
        socket(house, f"/jobs/{job_id}/ws") as connection,
        sockets.create_connection(("127.0.0.1", int(house.environ["PORT"]))) as waiting,
    ):
        lines = answer.iter_lines()
        next(events(lines))
        next(messages(connection))
        waiting.sendall(
            f"GET /jobs/{job_id}?wait=60 HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {API_KEY}\r\n\r\n".encode()
        )
        time.sleep(0.3)
        begun = time.monotonic()
        assert web.stop() == 0
        assert time.monotonic() - begun < 3
        assert [line for line in lines if line][-1].startswith("retry: ")
        with pytest.raises(ConnectionClosed) as closed:
            connection.recv(timeout=5)
        assert code_of(closed) == 1012
        assert b'"status":"queued"' in waiting.recv(65536)


@pytest.mark.parametrize("kind", ["stream", "ws"])
def test_a_watcher_that_does_not_read_is_dropped_and_the_others_go_on(
    build: Callable[..., System], kind: str
) -> None:
    """It is not waited for: its own queue fills, and nobody else's."""
    house = build()
    web = house.web()
    with sockets.socket() as stalled, watching(house, "/stream") as told:
        stalled.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
        stalled.connect(("127.0.0.1", int(house.environ["PORT"])))
        path = "/stream" if kind == "stream" else "/ws"
        stalled.sendall(
            f"GET {path} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {API_KEY}\r\n{UPGRADE if kind == 'ws' else ''}\r\n".encode()
        )
        time.sleep(0.2)
        held = open_sockets(web.pid)
        change = {
            "job_id": "job_01k00000000000000000000000",
            "status": "queued",
            "source": "api",
            "tag": "x" * 100,
        }
        sent = 0
        while open_sockets(web.pid) == held and sent < 100_000:
            house.redis.xadd(keys.LIVE, {"changes": json.dumps([change] * 100)}, maxlen=100)
            for _ in range(100):
                assert next(told).data["tag"] == change["tag"]
            sent += 100
        assert 10_000 < sent < 100_000


def open_sockets(pid: int) -> int:
    found = 0
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            found += str(descriptor.readlink()).startswith("socket:")
    return found


# -- the docs ----------------------------------------------------------------------------------------------------------


def block(language: str) -> str:
    """The first example of that language in docs/live.md."""
    text = (Path(__file__).parents[2] / "docs" / "live.md").read_text()
    return text.split(f"\n```{language}\n")[1].split("\n```\n")[0]


def test_the_docs_watch_in_python_through_any_number_of_cuts(pair: tuple[System, tuple[str, str]]) -> None:
    house, ports = pair
    job_id, gate = submit(house, run_in="300ms")
    example: dict[str, Any] = {}
    exec(compile(block("python"), "docs/live.md", "exec"), example)
    told = []
    for event, data in example["watch"](f"http://127.0.0.1:{ports[1]}/jobs/{job_id}/stream", API_KEY):
        told.append((event, data[event] if event == "status" else ""))
        if event == "log":
            house.open_gate(gate)
    statuses = [status for event, status in told if event == "status"]
    assert statuses == ["scheduled", "queued", "started", "finished"]
    assert {event for event, _ in told} == {"status", "progress", "log"}


def test_the_docs_watch_with_curl(house: System) -> None:
    if shutil.which("curl") is None:
        missing("no curl: apt-get install curl")
    job_id = house.submit({"type": "echo"}).json()["job_id"]
    house.ended(job_id)
    told = subprocess.run(
        ["sh", "-c", block("sh")],
        env={
            "PATH": os.environ["PATH"],
            "KEY": API_KEY,
            "JOB": job_id,
            "HOOKLINE": str(house.http.base_url).rstrip("/"),
        },
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    (only,) = events(told.stdout.splitlines())
    assert only.told == "finished"
