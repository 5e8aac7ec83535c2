"""Bytes that no client library sends: a request is read in one way, or not at all (docs/security-tests.md)."""

import json
import re
import socket
import uuid
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection, HTTPResponse, RemoteDisconnected
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.builders import System, as_sent, by_acme, hmac_hex

BODY = b'{"type":"echo"}'
LENGTH = f"Content-Length: {len(BODY)}"
CHUNKS = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
LARGEST_BODY = 1 << 20


def written(
    *lines: str, body: bytes = BODY, start: str = "POST /hooks/acme HTTP/1.1", host: str | None = "hookline"
) -> bytes:
    """A request with the signature of `acme` over `BODY`, an id of its own, and these lines besides."""
    _, signed = by_acme(BODY, delivery=uuid.uuid4().hex)
    given = [] if host is None else [f"Host: {host}"]
    head = [start, *given, *(f"{name}: {value}" for name, value in signed.items()), *lines, "", ""]
    return "\r\n".join(head).encode("latin-1") + body


def chunked(body: bytes) -> bytes:
    return written("Transfer-Encoding: chunked", body=body)


class Answer:
    """What came back: the first response, as far as there was one, and whether the connection was ended after it."""

    def __init__(self, house: System, request: bytes) -> None:
        with connected(house) as client:
            client.sendall(request)
            response = HTTPResponse(client)
            try:
                response.begin()
            except (RemoteDisconnected, ConnectionResetError):
                self.status, self.text = None, ""
                return
            self.status = response.status
            self.text = response.read().decode()
            self.closed = response.will_close and client.recv(1) == b""

    @property
    def json(self) -> Any:
        return json.loads(self.text)


def connected(house: System) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(house.environ["PORT"])), timeout=10)


@pytest.fixture
def untouched(house: System) -> Iterator[System]:
    """The house, in which the test leaves no job."""
    jobs = house.redis.zcard("hookline:jobs")
    yield house
    assert house.redis.zcard("hookline:jobs") == jobs


def resident(pid: int) -> int:
    """The memory that a process holds, in bytes."""
    (kilobytes,) = re.findall(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(kilobytes) << 10


# -- where a request ends ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param((LENGTH, "Transfer-Encoding: chunked"), id="a length and chunks"),
        pytest.param((LENGTH, LENGTH), id="the same length twice"),
        pytest.param((LENGTH, "Content-Length: 3"), id="two lengths"),
        *(
            pytest.param((f"Content-Length: {text}",), id=f"length {text!r}")
            for text in ("+15", "-1", "0x0f", "1_5", "15, 15", "", "9" * 30, str(2**64 + 15))
        ),
    ],
)
def test_a_length_that_can_be_read_in_two_ways_ends_the_connection(
    untouched: System, lines: tuple[str, ...]
) -> None:
    """A045, A046."""
    answer = Answer(untouched, written(*lines))
    assert (answer.status, answer.json["code"], answer.closed) == (400, "http_malformed", True)


@pytest.mark.parametrize(
    "request_",
    [
        *(
            pytest.param(written(line, body=CHUNKS), id=line)
            for line in (
                "Transfer-Encoding: xchunked",
                "Transfer-Encoding: chunked, identity",
                "Transfer-Encoding: identity",
                "Transfer-Encoding: \x0bchunked",
                "Transfer-Encoding : chunked",
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            )
        ),
        *(
            pytest.param(chunked(size + b"\r\n" + BODY + b"\r\n0\r\n\r\n"), id=f"a chunk of {size!r}")
            for size in (b"zz", b"-1", b"+f", b"0xf", b"f" * 20)
        ),
        pytest.param(chunked(b"f\r\n" + BODY + b"XX0\r\n\r\n"), id="a chunk that does not end"),
        pytest.param(chunked(b"f\n" + BODY + b"\n0\n\n"), id="chunks with bare line feeds"),
    ],
)
def test_chunks_that_can_be_read_in_two_ways_end_the_connection(untouched: System, request_: bytes) -> None:
    """A047."""
    answer = Answer(untouched, request_)
    assert (answer.status, answer.json["code"], answer.closed) == (400, "http_malformed", True)


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(written(LENGTH).replace(b"\r\n", b"\n"), id="bare line feeds"),
        pytest.param(written(LENGTH).replace(b"hookline\r\n", b"hookline\nX: y\r\n"), id="one bare line feed"),
        pytest.param(written(LENGTH).replace(b"hookline\r\n", b"hookline\rX: y\r\n"), id="a bare return"),
        *(
            pytest.param(written(LENGTH, line), id=repr(line))
            for line in ("X: b\r\n c", "X: b\0c", "X\0: b", "X A: b", "X : b", "nonsense", ": b", "X: \x7f", "\xe9: b")
        ),
    ],
)  # fmt: skip
def test_headers_that_can_be_read_in_two_ways_end_the_connection(untouched: System, request_: bytes) -> None:
    """A048."""
    answer = Answer(untouched, request_)
    assert (answer.status, answer.json["code"], answer.closed) == (400, "http_malformed", True)


@pytest.mark.parametrize(
    ("start", "line"),
    [
        ("POST /hooks/acme HTTP/1.1", "Transfer-Encoding: gzip, chunked"),
        ("POST /hooks/acme HTTP/1.0", "Transfer-Encoding: chunked"),
    ],
)
def test_chunks_that_others_might_not_read_as_such_end_the_connection(
    untouched: System, start: str, line: str
) -> None:
    """A047, A048."""
    answer = Answer(untouched, written(line, body=CHUNKS, start=start))
    assert (answer.status, answer.json["code"], answer.closed) == (400, "framing_ambiguous", True)


def test_a_trailer_counts_as_a_second_header(untouched: System) -> None:
    """A048: what is behind the chunks can't take the place of what was checked."""
    answer = Answer(untouched, chunked(b"f\r\n" + BODY + b"\r\n0\r\nX-Acme-Signature: sha256=00\r\n\r\n"))
    assert (answer.status, answer.json["code"]) == (401, "signature_invalid")


def test_what_follows_a_request_is_a_request_of_its_own(house: System) -> None:
    """A048: two of them in one piece are two events, each with its answer."""
    with connected(house) as client:
        client.sendall(
            written(LENGTH) + written("Transfer-Encoding: chunked", "Connection: close", body=CHUNKS)
        )
        told = client.makefile("rb").read()
    assert re.findall(rb"HTTP/1.1 ([0-9]+)", told) == [b"202", b"202"]
    assert len(set(re.findall(rb'"job_id":"(\w+)"', told))) == 2


def test_an_older_http_is_answered_once(house: System) -> None:
    """A048: HTTP/1.0 knows no second request on a connection."""
    answer = Answer(house, written(LENGTH, start="POST /hooks/acme HTTP/1.0"))
    assert (answer.status, answer.closed) == (202, True)


# -- who we are --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "start"),
    [
        (None, "POST /hooks/acme HTTP/1.1"),
        ("evil.test", "POST /hooks/acme HTTP/1.1"),
        ("a b/@c?", "POST /hooks/acme HTTP/1.1"),
        ("hookline", "POST http://evil.test/hooks/acme HTTP/1.1"),
    ],
)
def test_what_we_are_called_leads_nobody_elsewhere(house: System, host: str | None, start: str) -> None:
    """A049: no public URL is set here, so links are paths."""
    answer = Answer(house, written(LENGTH, start=start, host=host))
    assert answer.status == 202
    assert answer.json["status_url"].startswith(f"/jobs/{answer.json['job_id']}?token=")
    assert "evil" not in answer.text


def test_two_hosts_are_one_too_many(untouched: System) -> None:
    """A049."""
    answer = Answer(untouched, written(LENGTH, "Host: evil.test"))
    assert (answer.status, answer.json["code"], answer.closed) == (400, "framing_ambiguous", True)


# -- bodies that do not come -------------------------------------------------------------------------------------------


def test_a_body_that_is_announced_too_large_is_refused_before_it_is_sent(untouched: System) -> None:
    """A027."""
    answer = Answer(untouched, written(f"Content-Length: {LARGEST_BODY + 1}", body=b""))
    assert (answer.status, answer.json["code"], answer.closed) == (413, "body_too_large", True)


def test_a_body_without_end_is_refused_and_costs_no_memory(untouched: System) -> None:
    """A028: chunks that go on for 64 times the largest body, or until we hang up."""
    _, web = untouched.started
    before = resident(web.pid)
    chunk = b"100000\r\n" + b"x" * LARGEST_BODY + b"\r\n"
    with connected(untouched) as client, pytest.raises(ConnectionError):
        client.sendall(chunked(chunk * 64))
    assert resident(web.pid) - before < 4 * LARGEST_BODY


@pytest.mark.parametrize("reset", [False, True])
def test_a_body_that_breaks_off_leaves_nothing(untouched: System, reset: bool) -> None:
    """A041: its client says goodbye in the middle, or does not."""
    with connected(untouched) as client:
        client.sendall(as_sent(*by_acme(BODY))[:-5])
        if not reset:
            client.shutdown(socket.SHUT_WR)
            assert client.recv(1) == b""


# -- what is no HTTP/1.1 -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", id="HTTP/2"),
        pytest.param(bytes.fromhex("16030100a5010000a10303") + bytes(100), id="TLS"),
        pytest.param(b"FLUSHALL\r\n", id="Redis"),
        pytest.param(b"*1\r\n$8\r\nFLUSHALL\r\n", id="Redis, as its clients write"),
        pytest.param(written(LENGTH, start="FLUSHALL /hooks/acme HTTP/1.1"), id="a method of nobody's"),
        pytest.param(written(LENGTH, start="POST /hooks/acme\0 HTTP/1.1"), id="an address with a zero byte"),
        pytest.param(written(LENGTH, start="POST /hooks/ac me HTTP/1.1"), id="an address with a space"),
        pytest.param(written(LENGTH, start="POST hooks/acme HTTP/1.1"), id="an address without a slash"),
        pytest.param(written(start="CONNECT evil.test:443 HTTP/1.1", body=b""), id="a tunnel"),
    ],
)
def test_another_protocol_is_refused_in_ours(untouched: System, request_: bytes) -> None:
    """A053."""
    answer = Answer(untouched, request_)
    assert (answer.status, answer.json["code"], answer.closed) == (400, "http_malformed", True)


@pytest.mark.parametrize("upgrade", ["websocket", "h2c", "nonsense"])
def test_a_hook_is_not_upgraded(untouched: System, upgrade: str) -> None:
    """A053."""
    lines = [
        *(f"Upgrade: {upgrade}", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABkAARAAAAA"),
        *("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"),
    ]
    answer = Answer(untouched, written(*lines, body=b"", start="GET /hooks/acme HTTP/1.1"))
    assert answer.status in (400, 403, 404, 405)


@pytest.mark.parametrize(
    ("framing", "body"), [(LENGTH, BODY), ("Transfer-Encoding: chunked", CHUNKS)], ids=["a length", "chunks"]
)
def test_an_event_of_who_asks_for_http_2_is_taken_whole(house: System, framing: str, body: bytes) -> None:
    """A053: Java's own client asks so, and goes on in HTTP/1.1; its connection may be used again."""
    wish = ("Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABkAAQAoAAA", "Upgrade: h2c")
    with connected(house) as client:
        for _ in range(3):
            request = written(framing, *wish, body=body)
            head = request.index(b"\r\n\r\n") + 4
            client.sendall(request[:head])
            client.sendall(request[head:])
            response = HTTPResponse(client)
            response.begin()
            assert response.status == 202
            assert json.loads(response.read())["status"] == "queued"


def test_the_body_of_who_asks_for_http_2_is_read_as_no_request(house: System) -> None:
    """A053: within a forged event stands a rightly signed one."""
    jobs = house.redis.zcard("hookline:jobs")
    within = written(LENGTH)
    wish = ("Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMA", "Upgrade: h2c")
    answer = Answer(house, written(f"Content-Length: {len(within)}", *wish, body=within))
    assert answer.status == 401
    assert house.redis.zcard("hookline:jobs") == jobs


# -- many of them ------------------------------------------------------------------------------------------------------


def test_two_thousand_forgeries_leave_nothing_behind(house: System) -> None:
    """A020: of one connection; a sample is kept, and nobody else waits for longer."""
    before = house.keys()
    forged = {"X-Acme-Signature": hmac_hex("guessed", BODY), "Content-Length": str(len(BODY))}
    with closing(HTTPConnection("127.0.0.1", int(house.environ["PORT"]), timeout=10)) as connection:
        for _ in range(2000):
            connection.request("POST", "/hooks/acme", BODY, forged)
            response = connection.getresponse()
            assert response.status in (401, 429)
            response.read()
    left = house.keys() - before  # what processes note of themselves comes and goes
    assert not [key for key in left if key.startswith((b"hookline:event:", b"rq:job:"))]
    assert len(left) < 10
    assert house.redis.zcard("hookline:refused:acme") <= 20
    assert house.send({"type": "echo"}).status_code == 202


def test_nothing_on_the_wire_was_a_fault_of_ours(house: System) -> None:
    """Runs last in this module: no line of any process tells of an error, or shows a traceback."""
    for process in house.started:
        assert '"level": "error"' not in process.output()
        assert "Traceback" not in process.output()
