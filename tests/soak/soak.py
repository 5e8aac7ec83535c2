"""Kill, freeze and restart everything at random, then count: nothing acknowledged may be missing.

``make soak`` runs it for as long as asked (``SECONDS=600``); the slow suite runs two minutes of it. The oracle is a ledger of its
own, as Jepsen's total queue has one: what was sent, what was acknowledged with 2xx, what ran (a line in a file for each
execution), and what came back.

    acknowledged ⊆ executed ⊆ sent · acknowledged ⊆ called back · one terminal status each · duplicates are counted
"""

import argparse
import asyncio
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from infra.embedded import EmbeddedServer
from infra.ledger.jobs import CRASH_CAP

KEY = "soak-key-of-a-decent-length"
TYPES = ("quick", "slow", "blocking", "flaky")
LEASE, SWEEP = 2.0, 0.5
GIVEN_UP = "given up after its third death"  # as the contract says; none of ours is at fault, but the killer can't know
AT_ONCE = 32  # jobs that are asked after together


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@dataclass
class Ledger:
    """What the oracle knows."""

    sent: set[int] = field(default_factory=set)
    acknowledged: dict[int, str] = field(default_factory=dict)
    called_back: dict[str, Counter[str]] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    survived: Counter[str] = field(default_factory=Counter)
    given_up: set[int] = field(default_factory=set)


class House:
    """Redis, two webs and three workers, each of which may die at any moment."""

    def __init__(self, directory: Path, chance: random.Random) -> None:
        self.directory = directory
        self.chance = chance
        self.server = EmbeddedServer.start(directory / "redis")
        self.web_ports = [free_port(), free_port()]
        self.inbox_port = free_port()
        self.webs: list[subprocess.Popen[bytes]] = []
        self.workers: list[subprocess.Popen[bytes]] = []
        shutil.copy(Path(__file__).with_name("soak_handlers.py"), directory)

    @property
    def environ(self) -> Mapping[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.directory),
            "REDIS_URL": self.server.url,
            "HOOKLINE_SECRET_KEY": "a secret key for the soak alone",
            "HOOKLINE_CALLBACK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "HOOKLINE_CALLBACK_ALLOW": "127.0.0.1/32",
            "HOOKLINE_CALLBACK_SCHEDULE": ",".join(["300ms"] * 60),
            "HOOKLINE_CALLBACK_TIMEOUT": "2s",
            "HOOKLINE_API_KEYS": f"soak:{KEY}",
            "HOOKLINE_HANDLERS": "soak_handlers",
            "HOOKLINE_LEASE": f"{LEASE}s",
            "HOOKLINE_SWEEP": f"{SWEEP}s",
            "HOOKLINE_SHUTDOWN_GRACE": "300ms",
            "SOURCE_ACME_PROVIDER": "bearer",
            "SOURCE_ACME_SECRET": KEY,
            "SOURCE_ACME_EVENT_TYPE": "json:$.type",
            "SOURCE_ACME_CALLBACK_URL": f"http://127.0.0.1:{self.inbox_port}/inbox",
            "HOOKLINE_LOG": "warning",
        }

    def start(self) -> None:
        self.webs = [self.start_web(place) for place in range(len(self.web_ports))]
        self.workers = [self.start_worker() for _ in range(3)]

    def start_web(self, place: int) -> "subprocess.Popen[bytes]":
        return self._spawn("web", {"PORT": str(self.web_ports[place]), "HOST": "127.0.0.1"})

    def start_worker(self) -> "subprocess.Popen[bytes]":
        return self._spawn("worker", {})

    def _spawn(self, command: str, more: Mapping[str, str]) -> "subprocess.Popen[bytes]":
        with (self.directory / f"{command}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "infra.cli", command], env={**self.environ, **more}, cwd=self.directory,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def redis_pid(self) -> int:
        return int((self.directory / "redis" / "server.pid").read_text())

    def restart_redis(self) -> None:
        self.server.stop()
        self.server = EmbeddedServer.start(self.directory / "redis")

    def stop(self) -> None:
        for process in (*self.webs, *self.workers):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.server.stop()


async def trouble(house: House, ledger: Ledger) -> None:
    """Do one thing that must not matter."""
    chance = house.chance
    kind = chance.choice(
        ["kill a worker"] * 4
        + ["stop a worker", "freeze a worker", "kill a web", "kill Redis", "freeze Redis"]
    )
    ledger.survived[kind] += 1
    if kind.endswith("a worker"):
        place = chance.randrange(len(house.workers))
        process = house.workers[place]
        if kind == "freeze a worker":
            process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(chance.uniform(0.1, 2 * LEASE))
            process.send_signal(signal.SIGCONT)
            return
        process.send_signal(signal.SIGKILL if kind == "kill a worker" else signal.SIGTERM)
        await asyncio.to_thread(process.wait)
        house.workers[place] = house.start_worker()
    elif kind == "kill a web":
        place = chance.randrange(len(house.webs))
        house.webs[place].kill()
        await asyncio.to_thread(house.webs[place].wait)
        house.webs[place] = house.start_web(place)
    elif kind == "kill Redis":
        os.kill(house.redis_pid(), signal.SIGKILL)
        await asyncio.sleep(chance.uniform(0, 1.5))
        await asyncio.to_thread(house.restart_redis)
    else:
        os.kill(house.redis_pid(), signal.SIGSTOP)
        await asyncio.sleep(chance.uniform(0.1, 1.5))
        os.kill(house.redis_pid(), signal.SIGCONT)


async def send(house: House, ledger: Ledger, until: float, senders: int) -> None:
    """Senders as providers are: the same id again until it is acknowledged."""
    numbers = iter(range(10_000_000))

    async def one_sender(client: httpx.AsyncClient) -> None:
        while time.monotonic() < until:
            number = next(numbers)
            ledger.sent.add(number)
            body = {"type": TYPES[number % len(TYPES)], "number": number}
            headers = {"Authorization": f"Bearer {KEY}", "Idempotency-Key": f"event-{number}"}
            while number not in ledger.acknowledged:
                port = house.chance.choice(house.web_ports)
                try:
                    answer = await client.post(
                        f"http://127.0.0.1:{port}/hooks/acme", json=body, headers=headers
                    )
                except httpx.HTTPError as error:
                    ledger.refused[type(error).__name__] += 1
                else:
                    if answer.is_success:
                        ledger.acknowledged[number] = answer.json()["job_id"]
                        break
                    ledger.refused[str(answer.status_code)] += 1
                await asyncio.sleep(0.05)
            await asyncio.sleep(0.02)

    async with httpx.AsyncClient(
        timeout=10, trust_env=False, limits=httpx.Limits(max_connections=senders)
    ) as client:
        await asyncio.gather(*[one_sender(client) for _ in range(senders)])


def inbox(ledger: Ledger) -> Starlette:
    async def take(request: Request) -> Response:
        told = (await request.json())["data"]
        ledger.called_back.setdefault(told["job_id"], Counter())[request.headers["webhook-id"]] += 1
        return Response(status_code=204)

    return Starlette(routes=[Route("/inbox", take, methods=["POST"])])


async def settle(house: House, ledger: Ledger, patience: float) -> Counter[str]:
    """Wait until all that was acknowledged has ended and was told. Returns how many ended how."""
    limit = time.monotonic() + patience
    open_jobs = dict(ledger.acknowledged)
    ended: Counter[str] = Counter()
    async with httpx.AsyncClient(
        timeout=10, trust_env=False, headers={"Authorization": f"Bearer {KEY}"}
    ) as client:

        async def look(number: int, job_id: str) -> None:
            with suppress(httpx.HTTPError):
                answer = await client.get(f"http://127.0.0.1:{house.web_ports[0]}/jobs/{job_id}")
                job: dict[str, Any] = answer.json() if answer.is_success else {}
                told = job.get("callback") or {}
                if job.get("status") in ("finished", "failed") and told.get("status") in (
                    "delivered",
                    "dead",
                ):
                    how = str(job["status"])
                    if [attempt["outcome"] for attempt in job["attempts"]].count("crashed") >= CRASH_CAP:
                        how = GIVEN_UP
                        ledger.given_up.add(number)
                    ended[f"{how}, callback {told['status']}"] += 1
                    del open_jobs[number]

        while open_jobs and time.monotonic() < limit:
            asked = list(open_jobs.items())
            for first in range(0, len(asked), AT_ONCE):
                await asyncio.gather(*(look(*one) for one in asked[first : first + AT_ONCE]))
            await asyncio.sleep(0.2)
    ended["never ended"] += len(open_jobs)
    return ended


def verdict(house: House, ledger: Ledger, ended: Counter[str]) -> list[str]:
    """What is wrong; empty when nothing is."""
    log = house.directory / "effects.log"
    runs = (
        Counter(int(line.split()[0]) for line in log.read_text().splitlines()) if log.exists() else Counter()
    )
    acknowledged = set(ledger.acknowledged)
    wrong = []
    if lost := acknowledged - runs.keys() - ledger.given_up:
        wrong.append(f"{len(lost)} acknowledged events never ran, such as {sorted(lost)[:5]}")
    if strange := runs.keys() - ledger.sent:
        wrong.append(f"{len(strange)} events ran that nobody sent")
    if silent := [
        number for number, job_id in ledger.acknowledged.items() if job_id not in ledger.called_back
    ]:
        wrong.append(f"{len(silent)} callers never heard, such as {silent[:5]}")
    if double := [job_id for job_id, ids in ledger.called_back.items() if len(ids) > 1]:
        wrong.append(f"{len(double)} jobs were told under two ids")
    well = {"finished, callback delivered", f"{GIVEN_UP}, callback delivered"}
    if bad := {how: count for how, count in ended.items() if how not in well and count}:
        wrong.append(f"not every job ended well: {bad}")
    again = sum(count - 1 for count in runs.values())
    posts = sum(sum(ids.values()) - 1 for ids in ledger.called_back.values())
    troubles = sum(ledger.survived.values())
    if ledger.given_up:
        print(f"given up, for three workers were killed during them: {len(ledger.given_up)}")
    print(
        f"sent {len(ledger.sent)}, acknowledged {len(acknowledged)}, ran {len(runs)}, told {len(ledger.called_back)}"
    )
    print(f"survived {troubles} troubles: {dict(ledger.survived)}")
    print(f"refused meanwhile, and sent again: {dict(ledger.refused)}")
    print(f"ran more than once: {again} executions; told more than once: {posts} POSTs")
    return wrong


async def soak(seconds: float, seed: int, directory: Path) -> list[str]:
    """One soak. Returns what is wrong."""
    house, ledger = House(directory, random.Random(seed)), Ledger()
    server = uvicorn.Server(
        uvicorn.Config(inbox(ledger), host="127.0.0.1", port=house.inbox_port, log_config=None)
    )
    receiving = asyncio.create_task(server.serve())
    try:
        house.start()
        until = time.monotonic() + seconds
        sending = asyncio.create_task(send(house, ledger, until, senders=16))
        await asyncio.sleep(min(3.0, seconds / 4))
        while time.monotonic() < until:
            await trouble(house, ledger)
            await asyncio.sleep(house.chance.uniform(0.2, 1.5))
        await sending
        return verdict(house, ledger, await settle(house, ledger, patience=60))
    finally:
        house.stop()
        server.should_exit = True
        await receiving


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    arguments = parser.parse_args()
    print(f"soaking for {arguments.seconds:g} s with --seed {arguments.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="hl-soak-", dir="/tmp", ignore_cleanup_errors=True) as directory:
        wrong = asyncio.run(soak(arguments.seconds, arguments.seed, Path(directory)))
    for line in wrong:
        print("WRONG:", line)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
