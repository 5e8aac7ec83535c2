"""Processes on networks as platforms have them: two address families, a Redis that comes late, a proxy before us."""

import json
import os
import signal
import socket
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.acceptance.builders import Server, System, descendants, free_port
from tests.conftest import Spawned, missing

pytestmark = pytest.mark.slow  # many processes, one after the other

PLAIN = {"HOST": ""}


def lines(process: Spawned) -> list[dict[str, Any]]:
    """What a process logged; every line is JSON."""
    return [json.loads(line) for line in process.output().splitlines()]


@pytest.mark.parametrize("workers", [1, 3])
def test_ipv4_and_ipv6_are_answered_on_one_port(build: Callable[..., System], workers: int) -> None:
    if not socket.has_dualstack_ipv6():
        missing("no IPv6 here")
    system = build(**PLAIN)
    process = system.web("--workers", str(workers))

    for host in ("127.0.0.1", "[::1]"):
        url = f"http://{host}:{system.environ['PORT']}/healthz"
        assert httpx.get(url, trust_env=False, timeout=20).status_code == 200

    assert process.stop(signal.SIGTERM) == 0


def test_many_web_processes_share_a_port_and_their_numbers(
    build: Callable[..., System], wait_until: Callable[..., Any]
) -> None:
    system = build()
    process = system.web("--workers", "2")
    for number in range(40):
        assert system.send({"type": "echo"}, delivery=f"d-{number}").status_code == 202

    def counted() -> bool:
        return 'hookline_events_received_total{source="acme"} 40.0' in scraped(system)

    wait_until(counted, timeout=20)
    killed = descendants(process.pid)[-1]
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: killed not in descendants(process.pid))
    wait_until(lambda: len(descendants(process.pid)) >= 2)
    assert counted()
    assert process.stop(signal.SIGTERM) == 0


def test_web_tells_what_workers_have_counted(
    build: Callable[..., System], wait_until: Callable[..., Any]
) -> None:
    system = build()
    system.web()
    system.worker("--processes", "2")
    job = system.ended(system.send({"type": "echo"}).json()["job_id"])

    line = f'hookline_attempts_total{{handler="{job["handler"]}",outcome="finished",source="acme"}} 1.0'
    wait_until(lambda: line in scraped(system), timeout=20)
    assert "hookline_workers 2.0" in scraped(system)


def scraped(system: System) -> str:
    answer = system.http.get("/metrics", headers={"Authorization": "Bearer " + system.environ["HOOKLINE_API_KEYS"].split(":")[1].split(",")[0]})  # fmt: skip
    assert answer.status_code == 200, answer.text
    return answer.text


def test_a_redis_that_comes_late_is_waited_for(
    build: Callable[..., System], server: Server, wait_until: Callable[..., Any]
) -> None:
    """On a private network that is not ready at boot: the health check holds, nothing is promised, and then all goes well."""
    server.kill()
    system = build()
    web = system.web()
    worker = system.run("hookline", "worker", said="trying again")
    assert system.http.get("/healthz").status_code == 200
    assert system.http.get("/readyz").status_code == 503
    refused = system.send({"type": "echo"}, delivery="d-1")
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
    assert "Redis did not confirm: nothing listens there" in worker.output()

    server.start()

    wait_until(lambda: system.http.get("/readyz").status_code == 200, timeout=20)
    system.ended(system.send({"type": "echo"}, delivery="d-1").json()["job_id"])
    assert [process.stop(signal.SIGTERM) for process in (web, worker)] == [0, 0]


@pytest.mark.parametrize(
    ("settings", "client"),
    [
        ({}, "127.0.0.1"),
        ({"RAILWAY_ENVIRONMENT_NAME": "production"}, "203.0.113.7"),
        ({"HOOKLINE_CLIENT_HEADER": "Forwarded-By-Us"}, "127.0.0.1"),
    ],
)
def test_a_callers_address_is_what_the_platforms_proxy_says_and_else_the_sockets(
    build: Callable[..., System], settings: dict[str, str], client: str
) -> None:
    system = build(**settings)
    web = system.web()
    headers = {
        "X-Real-IP": "203.0.113.7",
        "X-Forwarded-For": "198.51.100.1",
        "Forwarded": "for=198.51.100.2",
        "X-Railway-Request-Id": "kX7_aZ",
    }

    assert system.http.post("/hooks/acme", content=b"{}", headers=headers).status_code == 401

    web.wait_for_output("signature_invalid")
    (line,) = [line for line in lines(web) if line["message"] == "refused: signature_invalid"]
    assert (line["client"], line["request"]) == (client, "kX7_aZ")


def test_a_post_that_a_redirect_made_a_get_is_told_so(build: Callable[..., System]) -> None:
    """Railway answers http:// with a redirect, and senders follow it with a GET."""
    system = build()
    system.web()
    answer = system.http.get("/hooks/acme")
    assert (answer.status_code, answer.headers["Allow"], answer.json()["detail"]) == (
        405,
        "POST",
        "Use POST.",
    )


def test_the_health_check_is_answered_whatever_host_it_names(build: Callable[..., System]) -> None:
    """Neither a redirect to https nor a list of hosts stands before it."""
    system = build()
    system.web()
    for host in ("healthcheck.railway.app", "10.0.0.9:8000", "anything"):
        answer = system.http.get("/healthz", headers={"Host": host, "X-Forwarded-Proto": "http"})
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_a_worker_told_a_port_of_nobody_ends_in_words_when_it_is_stopped(
    build: Callable[..., System],
) -> None:
    """It waits for a Redis that may yet come; a deploy that gives up on it gets an orderly end."""
    system = build(redis_url=f"redis://127.0.0.1:{free_port()}")
    worker = system.run("hookline", "worker", said="nothing listens there; trying again")
    assert worker.stop(signal.SIGTERM, timeout=20) == 0


def test_a_redis_that_lets_nobody_in_does_not_end_a_worker(
    build: Callable[..., System], server: Server, wait_until: Callable[..., Any]
) -> None:
    """RQ's own worker ends with 0 on such an error, and a platform that restarts on failure leaves it so."""
    system = build()
    system.web()
    worker = system.worker()
    with server.connect() as client:
        client.execute_command("ACL", "SETUSER", "admin", "on", ">admin", "~*", "&*", "+@all")
        client.execute_command("AUTH", "admin", "admin")
        client.execute_command("ACL", "SETUSER", "default", "off")
        client.client_kill_filter(_type="normal", skipme=True)
        client.client_kill_filter(_type="pubsub")
        wait_until(lambda: "it refuses the password" in worker.output())
        assert worker.process.poll() is None
        client.execute_command("ACL", "SETUSER", "default", "on")

    wait_until(lambda: system.http.get("/readyz").status_code == 200, timeout=20)
    system.ended(system.send({"type": "echo"}).json()["job_id"])
