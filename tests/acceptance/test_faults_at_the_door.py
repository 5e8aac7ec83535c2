"""What happens to events while the web process or its way to Redis breaks. Nothing that got 2xx is lost, nothing runs twice."""

import json
import os
import random
import signal
import socket
import struct
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import httpx
import pytest

from tests.acceptance.builders import Server, System, as_sent, assert_problem, by_acme, free_port
from tests.acceptance.delivering import assert_each_ran_once, deliver, deliver_all, deliver_until_taken
from tests.acceptance.inbox import Inbox
from tests.acceptance.proxy import Proxy

pytestmark = pytest.mark.slow  # many processes, one after the other

# -- the web process dies ----------------------------------------------------------------------------------------------


def test_a_web_process_killed_in_a_burst_loses_nothing_that_it_acknowledged(
    build: Callable[..., System], inbox: Inbox
) -> None:
    """F01."""
    system = build()
    system.worker()
    web = system.web()
    deliveries = [uuid.uuid4().hex for _ in range(200)]
    taken: dict[str, str] = {}
    enough = threading.Event()

    def send(delivery: str) -> None:
        answer = deliver(system, delivery, inbox.url("burst"))
        if answer is not None and answer.is_success:
            taken[delivery] = answer.json()["job_id"]
            if len(taken) == 50:
                enough.set()

    with ThreadPoolExecutor(8) as pool:
        for delivery in deliveries:
            pool.submit(send, delivery)
        assert enough.wait(30)
        web.stop(signal.SIGKILL)

    assert len(taken) < 200
    system.web()
    for job_id in taken.values():
        system.ended(job_id)
    jobs = deliver_until_taken(system, deliveries, inbox.url("burst"))
    assert jobs | taken == jobs
    assert_each_ran_once(system, inbox, "burst", jobs.values())


def test_a_web_process_killed_between_receipt_and_reply_leaves_no_id_without_a_job(
    build: Callable[..., System], inbox: Inbox
) -> None:
    """F02, ten times."""
    system = build()
    system.worker()
    chance = random.Random(2)
    deliveries: list[str] = []
    with ThreadPoolExecutor(1) as pool:
        for _ in range(10):
            web = system.web()
            delivery = uuid.uuid4().hex
            system.http.get("/healthz")  # it answers from here on
            pool.submit(deliver, system, delivery, inbox.url("between"))
            time.sleep(chance.uniform(0, 0.02))  # the moment of the kill is the test's own
            web.stop(signal.SIGKILL)
            deliveries.append(delivery)
    system.web()
    jobs = deliver_until_taken(system, deliveries, inbox.url("between"))
    assert_each_ran_once(system, inbox, "between", jobs.values())


def test_a_web_process_that_stands_still_answers_when_it_goes_on(
    build: Callable[..., System], inbox: Inbox
) -> None:
    """F05, for three seconds: longer than anybody waits for Redis."""
    system = build()
    system.worker()
    web = system.web()
    deliveries = [uuid.uuid4().hex for _ in range(20)]
    system.http.get("/healthz")  # it answers from here on

    os.kill(web.pid, signal.SIGSTOP)
    with ThreadPoolExecutor(20) as pool:
        sending = [pool.submit(deliver, system, delivery, inbox.url("still")) for delivery in deliveries]
        _, waiting = wait(sending, timeout=3)
        assert len(waiting) == 20
        os.kill(web.pid, signal.SIGCONT)
        answers = [one.result() for one in sending]

    assert {answer.status_code for answer in answers if answer} == {202}
    assert system.http.get("/readyz").status_code == 200
    jobs = deliver_until_taken(system, deliveries, inbox.url("still"))
    assert sorted(jobs.values()) == sorted(answer.json()["job_id"] for answer in answers if answer)
    assert_each_ran_once(system, inbox, "still", jobs.values())


def test_a_body_on_its_way_is_taken_before_the_web_process_stops(
    build: Callable[..., System], inbox: Inbox
) -> None:
    """F04: half of it came before SIGTERM, the other half after; who comes later finds nobody."""
    system = build()
    system.worker()
    web = system.web()
    address = ("127.0.0.1", int(system.environ["PORT"]))
    event = {"type": "echo", "callback_url": inbox.url("upload")}
    request = as_sent(*by_acme(event, delivery=uuid.uuid4().hex))
    with socket.create_connection(address, timeout=10) as client:
        client.sendall(request[:-20])
        system.http.get("/healthz")  # what came before this was read

        web.process.send_signal(signal.SIGTERM)
        web.wait_for_output("Shutting down")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address, timeout=10)
        client.sendall(request[-20:])
        answer = client.makefile("rb").read()

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 202 ")
    assert web.process.wait(10) == 0
    system.web()
    assert_each_ran_once(system, inbox, "upload", [json.loads(body)["job_id"]])


# -- the client goes away ----------------------------------------------------------------------------------------------


def test_a_client_that_hangs_up_before_the_answer_can_send_again(house: System, inbox: Inbox) -> None:
    """F03, fifty times: its connection is reset as soon as the request is sent."""
    deliveries = [uuid.uuid4().hex for _ in range(50)]
    for delivery in deliveries:
        event = {"type": "echo", "n": delivery, "callback_url": inbox.url("gone")}
        with socket.create_connection(("127.0.0.1", int(house.environ["PORT"]))) as client:
            client.sendall(as_sent(*by_acme(event, delivery=delivery)))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    jobs = deliver_until_taken(house, deliveries, inbox.url("gone"))
    assert_each_ran_once(house, inbox, "gone", jobs.values())
    assert not any('"level": "error"' in process.output() for process in house.started)


# -- the same event, many times at once --------------------------------------------------------------------------------


@pytest.mark.parametrize("processes", [1, 2])
def test_the_same_event_fifty_times_at_once_is_one_event(house: System, inbox: Inbox, processes: int) -> None:
    """F17, A022; F18 over two web processes."""
    ports = [int(house.environ["PORT"])]
    if processes > 1:
        ports.append(free_port())
        house.web(PORT=str(ports[1]))
    name = f"fifty-{processes}"
    body, headers = by_acme({"type": "echo", "callback_url": inbox.url(name)}, delivery=uuid.uuid4().hex)
    barrier = threading.Barrier(50)

    def send(number: int) -> httpx.Response:
        barrier.wait()
        url = f"http://127.0.0.1:{ports[number % processes]}/hooks/acme"
        return house.http.post(url, content=body, headers=headers)

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(send, range(50)))

    assert Counter(answer.status_code for answer in answers) == {202: 1, 200: 49}
    assert len({answer.json()["event_id"] for answer in answers}) == 1
    assert_each_ran_once(house, inbox, name, {answer.json()["job_id"] for answer in answers})


def test_after_the_window_the_same_event_is_a_new_one(
    build: Callable[..., System], inbox: Inbox, wait_until: Callable[..., Any]
) -> None:
    """F20: as docs/guarantees.md says, a second run."""
    system = build(HOOKLINE_DEDUP_WINDOW="1s")
    system.worker()
    system.web()
    delivery = uuid.uuid4().hex

    def send() -> tuple[int, str]:
        answer = deliver(system, delivery, inbox.url("window"))
        assert answer is not None
        assert answer.status_code in (200, 202)
        return answer.status_code, answer.json()["job_id"]

    status, first = send()
    assert status == 202
    assert send() == (200, first)
    second = wait_until(lambda: (told := send())[0] == 202 and told[1], timeout=15)
    assert_each_ran_once(system, inbox, "window", {first, second})


# -- Redis is away -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_without_redis_nothing_is_promised_and_sending_again_works(
    build: Callable[..., System], server: Server, wait_until: Callable[..., Any], how: str
) -> None:
    """F06."""
    system = build()
    system.worker()
    system.web()
    delivery = uuid.uuid4().hex
    system.send({"type": "echo"})
    if how == "stopped":
        server.signal(signal.SIGSTOP)
    else:
        server.kill()

    began = time.monotonic()
    answer = system.send({"type": "echo"}, delivery=delivery)
    assert time.monotonic() - began < 4
    assert_problem(answer, 503, "not_recorded")
    assert answer.headers["Retry-After"] == "5"
    assert system.http.get("/healthz").status_code == 200

    if how == "stopped":
        server.signal(signal.SIGCONT)
    else:
        assert_problem(system.submit({"type": "echo"}), 503, "not_recorded")
        assert system.http.get("/readyz").status_code == 503
        server.start()
    wait_until(lambda: system.http.get("/readyz").status_code == 200, timeout=20)
    job_id = wait_until(
        lambda: (
            (again := system.send({"type": "echo"}, delivery=delivery)).is_success and again.json()["job_id"]
        )
    )
    system.ended(job_id)
    assert len(system.runs(job_id)) == 1


def test_a_reply_lost_after_the_commit_is_no_second_event(
    build: Callable[..., System], server: Server
) -> None:
    """F08."""
    system = build()
    system.worker()
    delivery = uuid.uuid4().hex
    with Proxy(server.url.removeprefix("unix://")) as proxy:
        system.web(REDIS_URL=proxy.url)
        assert system.send({"type": "echo"}).status_code == 202

        proxy.lose_replies_to = b"lost-reply"
        answer = system.send({"type": "echo", "n": "lost-reply"}, delivery=delivery)
        assert_problem(answer, 503, "not_recorded")
        assert proxy.lost >= 1
        proxy.lose_replies_to = None

        again = system.send({"type": "echo", "n": "lost-reply"}, delivery=delivery)
        assert (again.status_code, again.json()["duplicate"]) == (200, True)
        system.ended(again.json()["job_id"])
        assert len(system.runs(again.json()["job_id"])) == 1


@pytest.mark.slow
def test_connections_that_are_cut_all_the_time_lose_nothing(
    build: Callable[..., System], server: Server, inbox: Inbox
) -> None:
    """F09, for three seconds. A callback whose taking was cut off falls due again when its sender's time is up."""
    system = build(HOOKLINE_CALLBACK_TIMEOUT="1s")
    system.worker()
    system.web()
    over = threading.Event()

    def cut() -> None:
        with server.connect() as client:
            while not over.wait(0.05):
                client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    storm = threading.Thread(target=cut)
    storm.start()
    limit = time.monotonic() + 3
    deliveries = [uuid.uuid4().hex for _ in range(200)]
    try:
        while time.monotonic() < limit:
            answers = deliver_all(system, deliveries, inbox.url("storm"))
            assert {answer.status_code for answer in answers.values() if answer} <= {200, 202, 503}
    finally:
        over.set()
        storm.join()

    jobs = deliver_until_taken(system, deliveries, inbox.url("storm"))
    for job_id in jobs.values():
        system.ended(job_id)
    runs = Counter(run.job_id for run in system.runs())
    assert runs.keys() == set(jobs.values())
    assert max(runs.values()) <= 2
    inbox.wait_for("storm", len(jobs), timeout=30)
    assert {post.id.replace("cb_", "job_") for post in inbox.posts("storm")} == set(jobs.values())


def test_scripts_that_redis_has_forgotten_are_given_to_it_again(house: System) -> None:
    """F10."""
    for number in range(5):
        told = house.submit({"type": "gated", "payload": {"gate": f"flush-{number}"}}).json()
        house.redis.script_flush()
        house.open_gate(f"flush-{number}")
        assert len(house.ended(told["job_id"])["attempts"]) == 1
        house.redis.script_flush()
