"""What happens to jobs when Redis dies, forgets, or holds records that somebody mangled."""

import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import httpx
import pytest

from tests.acceptance.builders import API_KEY, CALLBACK_SECRET, Server, System, assert_problem
from tests.acceptance.inbox import Answer, Inbox

QUEUE = "rq:queue:default"
AUTHORIZED = {"Authorization": f"Bearer {API_KEY}"}


@pytest.fixture
def system(build: Callable[..., System]) -> System:
    """A web process, and no worker: what a test queues stays queued until it starts one."""
    made = build()
    made.web()
    return made


def queued(system: System, count: int, callback_url: str | None = None, type: str = "echo") -> list[str]:
    """The ids of so many jobs, in the order of their queue."""
    told = system.submit([{"type": type, "payload": n, "callback_url": callback_url} for n in range(count)])
    assert told.status_code == 202, told.text
    return [one["job_id"] for one in told.json()]


def assert_all_ran_once(system: System, jobs: Iterable[str]) -> None:
    for job_id in jobs:
        assert system.ended(job_id)["attempts"][-1]["outcome"] == "finished"
        assert len(system.runs(job_id)) == 1


# -- mangled records ---------------------------------------------------------------------------------------------------


def _delete_data(system: System, job_id: str) -> None:
    system.redis.hdel(f"rq:job:{job_id}", "data")


def _bogus_status(system: System, job_id: str) -> None:
    system.redis.hset(f"rq:job:{job_id}", "status", "bogus")


def _no_hash(system: System, job_id: str) -> None:
    system.redis.delete(f"rq:job:{job_id}")


def _another_kind(system: System, job_id: str) -> None:
    system.redis.delete(f"rq:job:{job_id}")
    system.redis.rpush(f"rq:job:{job_id}", "what is this")


def _binary(system: System, job_id: str) -> None:
    for name in (b"status", b"event", b"origin", b"data", b"attempt", b"crashes"):
        system.redis.hset(f"rq:job:{job_id}", name, b"\xff\xfe\x00")


def test_mangled_records_of_rqs_are_rebuilt_and_their_neighbours_never_notice(
    system: System, inbox: Inbox
) -> None:
    """F36, F37, F38, F40: bogus, without its data, gone, of another type, or binary; the event is the truth."""
    mangles = [_bogus_status, _delete_data, _no_hash, _another_kind, _binary]
    jobs = queued(system, 2 * len(mangles), inbox.url("mangled"))
    for mangle, job_id in zip(mangles, jobs[::2], strict=True):
        mangle(system, job_id)

    worker = system.worker()

    assert_all_ran_once(system, jobs)
    posts = inbox.wait_for("mangled", len(jobs))
    assert len({post.id for post in posts}) == len(jobs)
    assert worker.process.poll() is None


def test_a_changed_event_costs_its_own_job_alone(system: System, wait_until: Callable[..., Any]) -> None:
    """A102, the seal: what a worker acts on is what a trusted process wrote (design, "Trust")."""
    jobs = queued(system, 5)
    forged = {jobs[1]: "body", jobs[3]: "head"}
    for job_id, field in forged.items():
        event = job_id.replace("job_", "hookline:event:evt_")
        text = system.redis.hget(event, field)
        assert isinstance(text, bytes)
        changed = text.replace(b"1", b"7").replace(b"echo", b"plain")
        assert changed != text
        system.redis.hset(event, field, changed)

    system.worker()

    assert_all_ran_once(system, jobs[::2])
    for job_id in forged:
        wait_until(lambda forged=job_id: system.redis.hexists("hookline:quarantine", forged))
        assert system.runs(job_id) == []


def test_what_is_no_job_in_a_queue_is_thrown_out(system: System) -> None:
    """Strangers' entries in RQ's list."""
    system.redis.rpush(QUEUE, "nonsense", b"\xff\xfe", "job_00000000000000000000000000", "")
    jobs = queued(system, 3)
    worker = system.worker()
    assert_all_ran_once(system, jobs)
    assert worker.process.poll() is None
    assert system.redis.llen(QUEUE) == 0


@pytest.mark.parametrize("instead", [None, "text"])
def test_a_queue_that_was_deleted_is_mended(system: System, instead: str | None) -> None:
    """F39, F40: its list is gone, or is no list any more."""
    jobs = queued(system, 20)
    system.redis.delete(QUEUE)
    if instead is not None:
        system.redis.set(QUEUE, instead)
    system.worker()
    assert_all_ran_once(system, jobs)


def test_a_job_between_its_queue_and_its_start_is_found(system: System) -> None:
    """F28: where a stock worker would have lost it."""
    (job_id,) = queued(system, 1)
    system.redis.lmove(QUEUE, f"{QUEUE}:intermediate", "RIGHT", "LEFT")
    system.worker()
    assert_all_ran_once(system, [job_id])


# -- Redis itself ------------------------------------------------------------------------------------------------------


def test_a_job_outlives_a_redis_that_is_killed_while_it_runs(
    system: System, server: Server, inbox: Inbox, wait_until: Callable[..., Any]
) -> None:
    """F44: the worker finds its way back by itself."""
    worker = system.worker()
    told = system.submit(
        {"type": "gated", "payload": {"gate": "restart"}, "callback_url": inbox.url("restart")}
    ).json()
    wait_until(lambda: system.runs(told["job_id"]))

    server.kill()
    worker.wait_for_output("the lease could not be renewed")
    server.start()
    system.open_gate("restart")

    wait_until(lambda: system.http.get("/readyz").status_code == 200, timeout=20)
    system.ended(told["job_id"])
    (post,) = inbox.wait_for("restart")
    assert post.verified(CALLBACK_SECRET)["data"]["result"] == "through"
    assert len(system.runs(told["job_id"])) <= 2
    assert worker.process.poll() is None
    assert_all_ran_once(system, queued(system, 3))
    assert len(inbox.posts("restart")) == 1


def test_an_outcome_waits_for_a_redis_that_is_away(
    system: System, server: Server, inbox: Inbox, wait_until: Callable[..., Any]
) -> None:
    """F45: the handler returned while nobody could write that down."""
    worker = system.worker()
    told = system.submit(
        {"type": "gated", "payload": {"gate": "away"}, "callback_url": inbox.url("away")}
    ).json()
    wait_until(lambda: system.runs(told["job_id"]))

    server.kill()
    system.open_gate("away")
    worker.wait_for_output("api gated finished")
    worker.wait_for_output("trying again")
    server.start()

    wait_until(lambda: system.http.get("/readyz").status_code == 200, timeout=20)
    system.ended(told["job_id"])
    inbox.wait_for("away")
    assert len(system.runs(told["job_id"])) <= 2
    assert len(inbox.posts("away")) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "held", [True, False], ids=["held until Redis is back", "answered while Redis is away"]
)
def test_a_callback_outlives_a_redis_that_is_killed_while_its_receiver_holds_it(
    system: System, server: Server, inbox: Inbox, wait_until: Callable[..., Any], held: bool
) -> None:
    """F60: the receiver has it, and for a while nobody can write that down."""
    worker = system.worker()
    name = f"kept-{held}"
    killed, back = threading.Event(), threading.Event()

    def kill() -> None:
        server.kill()
        killed.set()
        if held:
            assert back.wait(20)

    job_id = queued(system, 1, inbox.answer(name, Answer(before=kill)))[0]
    assert killed.wait(20)
    if not held:
        worker.wait_for_output("trying again")
    server.start()
    back.set()

    wait_until(lambda: system.http.get("/readyz").status_code == 200, timeout=20)
    wait_until(lambda: system.job(job_id)["callback"]["status"] == "delivered", timeout=40)
    posts = inbox.posts(name)
    assert len(posts) <= 2
    assert {post.id for post in posts} == {job_id.replace("job_", "cb_")}
    assert all(post.verified(CALLBACK_SECRET)["data"]["status"] == "finished" for post in posts)
    assert len(system.runs(job_id)) == 1
    assert worker.process.poll() is None


def test_what_was_acknowledged_outlives_the_death_of_redis(
    system: System, server: Server, wait_until: Callable[..., Any]
) -> None:
    """F46: its process is killed right after the last of 500."""
    jobs = [job_id for _ in range(5) for job_id in queued(system, 100)]
    server.kill()
    server.start()
    wait_until(lambda: "Redis does not answer" not in system.http.get("/readyz").text, timeout=20)

    system.worker()
    for job_id in jobs:
        system.ended(job_id)
    assert Counter(run.job_id for run in system.runs()) == dict.fromkeys(jobs, 1)


def test_a_redis_that_lost_its_last_words_forgets_whole_events_and_takes_them_again(
    system: System, server: Server, inbox: Inbox, wait_until: Callable[..., Any]
) -> None:
    """F47: the end of the append-only file is gone, as when the machine died before it was synced."""
    deliveries = [uuid.uuid4().hex for _ in range(20)]

    def send(delivery: str) -> httpx.Response:
        return system.send(
            {"type": "echo", "n": delivery, "callback_url": inbox.url("cut")}, delivery=delivery
        )

    first = [send(delivery).json()["job_id"] for delivery in deliveries]
    server.kill()
    server.lose_end(4000)
    server.start()
    wait_until(lambda: "Redis does not answer" not in system.http.get("/readyz").text, timeout=20)

    told = [system.http.get(f"/jobs/{job_id}", headers=AUTHORIZED).status_code for job_id in first]
    kept = told.count(200)
    assert told == [200] * kept + [404] * (20 - kept)
    assert 10 <= kept < 20
    again = [send(delivery) for delivery in deliveries]
    assert [answer.status_code for answer in again] == [200] * kept + [202] * (20 - kept)
    jobs = [answer.json()["job_id"] for answer in again]
    assert jobs[:kept] == first[:kept]

    system.worker()
    assert_all_ran_once(system, jobs)
    inbox.wait_for("cut", 20)
    assert len(inbox.posts("cut")) == 20
    assert len(system.runs()) == 20


def test_a_redis_that_forgets_everything_does_not_end_the_service(
    system: System, server: Server, wait_until: Callable[..., Any]
) -> None:
    """F48: old ids are gone, new events work, the worker registers again."""
    system.worker()
    (old,) = queued(system, 1)
    system.ended(old)

    system.redis.flushall()

    answer = system.http.get(f"/jobs/{old}", headers=AUTHORIZED)
    assert_problem(answer, 404, "not_found")
    told = system.send({"type": "echo"}, delivery=uuid.uuid4().hex)
    assert told.status_code == 202
    system.ended(told.json()["job_id"])
    wait_until(lambda: system.http.get("/readyz").status_code == 200)
    assert system.redis.smembers("rq:workers")


def test_a_full_redis_promises_nothing(system: System, server: Server) -> None:
    """F11: noeviction, out of memory."""
    system.worker()
    (kept,) = queued(system, 1)
    system.ended(kept)
    delivery = uuid.uuid4().hex

    system.redis.config_set("maxmemory", "1")
    assert_problem(system.send({"type": "echo"}, delivery=delivery), 503, "not_recorded")
    assert system.job(kept)["status"] == "finished"
    system.redis.config_set("maxmemory", "0")

    again = system.send({"type": "echo"}, delivery=delivery)
    assert (again.status_code, again.json()["duplicate"]) == (202, False)
    assert_all_ran_once(system, [again.json()["job_id"]])


def test_an_evicting_redis_is_not_ready(system: System) -> None:
    """F12."""
    system.worker()
    system.redis.config_set("maxmemory-policy", "allkeys-lru")
    answer = system.http.get("/readyz")
    assert answer.status_code == 503
    assert any("noeviction" in reason for reason in answer.json()["reasons"])
    system.redis.config_set("maxmemory-policy", "noeviction")
    assert system.http.get("/readyz").status_code == 200
