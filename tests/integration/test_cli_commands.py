"""Every command that looks or sends, as a real process, against a running web, worker and Valkey."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from infra.cli import hookline
from infra.embedded import EmbeddedServer
from infra.ledger import Ledger, Seal
from infra.redis_client import connect, connect_sync
from tests.conftest import Spawned, spawning

pytestmark = [pytest.mark.needs_server, pytest.mark.slow]  # many processes, one after the other

SECRET = "0123456789abcdef"
HANDLERS = """
from handlers import Context, Reject, handler

@handler("github", "*", queue="high")
async def received(context: Context) -> dict:
    context.progress(1, 2, "half")
    context.log.info("\\x1b[2Jtaken")
    if context.event.type == "push":
        raise Reject("no pushes here")
    return {"zen": context.payload["zen"]}
"""


@dataclass(frozen=True)
class House:
    """Web and worker over a Redis of their own, and two ways to call commands beside them."""

    directory: Path
    environ: dict[str, str]

    def run(self, *words: str, **environ: str) -> "subprocess.CompletedProcess[str]":
        """A command as a process, as a person runs it."""
        return subprocess.run(
            [Path(sys.executable).with_name("hookline"), *words],
            env=self.environ | environ,
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )

    def call(self, *words: str, text: str | None = None, **environ: str) -> Result:
        """A command in this process, which saves its start."""
        foreign = {name: None for name in os.environ if name.startswith(("HOOKLINE_", "SOURCE_", "REDIS"))}
        return CliRunner(env=foreign | self.environ | environ).invoke(hookline, words, input=text)

    def told(self, *words: str, **environ: str) -> Any:
        """What a command with ``--json`` says; its standard output is that one document."""
        done = self.call(*words, "--json", **environ)
        assert done.stderr == ""
        return json.loads(done.stdout)

    def examined(self, **environ: str) -> Any:
        """What doctor says; as a process, for it imports the handlers."""
        return json.loads(self.run("doctor", "--json", **environ).stdout)

    def errors(self, **environ: str) -> list[str]:
        """The codes of the errors among it."""
        return [one["code"] for one in self.examined(**environ)["findings"] if one["severity"] == "error"]

    def send(self, *words: str, text: str | None = None) -> dict[str, Any]:
        """Send one event, and the job that it became, once it has ended."""
        done = self.call("send", "github", "--wait", *words, text=text)
        assert done.exit_code == 0, done.output
        job: dict[str, Any] = json.loads(done.stdout.partition("\n")[2])
        return job


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, valkey: EmbeddedServer) -> Iterator[House]:
    directory = tmp_path_factory.mktemp("cli")
    (directory / "taking.py").write_text(HANDLERS)
    with connect_sync(valkey.url) as client:
        client.flushall()
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "REDIS_URL": valkey.url,
        "HOST": "127.0.0.1",
        "PORT": str(_free_port()),
        "HOOKLINE_PUBLIC_URL": "https://hooks.example.com",
        "HOOKLINE_SECRET_KEY": "integration-secret",
        "HOOKLINE_SOURCES": str(directory / "sources.toml"),
        "HOOKLINE_HANDLERS": "taking",
        "SOURCE_GITHUB_SECRET": SECRET,
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    with spawning(directory) as start:
        worker: Spawned = start("hookline", "worker", env=environ)
        web: Spawned = start("hookline", "web", env=environ)
        worker.wait_for_output(" serves ")
        web.wait_for_output("listening on port")
        yield House(directory, environ)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_sound_house_is_told_to_be_sound(house: House) -> None:
    """The first test here, for what others send is given up."""
    done = house.run("doctor")
    assert (done.returncode, done.stdout, done.stderr) == (0, "sound\n", "")
    assert house.examined() == {"sound": True, "findings": []}


def test_a_sample_is_sent_and_its_job_shown(house: House) -> None:
    done = house.run("send", "github", "--wait")
    first, _, rest = done.stdout.partition("\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert first.startswith("200 finished job_")
    assert json.loads(rest)["result"] == {"zen": "Keep it logically awesome."}


def test_many_samples_are_many_events(house: House) -> None:
    done = house.call("send", "github", "--count", "3")
    lines = done.stdout.splitlines()
    assert done.exit_code == 0
    assert len({line.split()[2] for line in lines[:3]}) == 3
    assert all(line.startswith("202 queued job_") for line in lines[:3])
    assert lines[3:] == ["3 events sent, 3 accepted"]


def test_what_is_not_accepted_ends_with_1(house: House) -> None:
    done = house.run("send", "github", "--secret", "another")
    assert done.returncode == 1
    assert done.stdout.startswith("401 signature_invalid: ")


def test_a_body_from_a_file_or_standard_input_is_sent_as_it_is(house: House) -> None:
    file = house.directory / "body.json"
    file.write_text('{"zen":  "from a file"}')
    assert house.send("--body", str(file))["result"] == {"zen": "from a file"}
    assert house.send("--body", "-", text='{"zen": "from here"}')["result"] == {"zen": "from here"}


def test_jobs_are_listed_newest_first_and_narrowed(house: House) -> None:
    older, newer = house.send(), house.send("--type", "push")

    listed = house.told("jobs", "list")["items"]
    assert [job["id"] for job in listed[:2]] == [newer["id"], older["id"]]
    assert {name: told for name, told in listed[0].items() if name != "attempt"}.items() <= newer.items()
    failed = house.told("jobs", "list", "--status", "failed", "--source", "github")["items"]
    assert {job["status"] for job in failed} == {"failed"}
    assert newer["id"] in {job["id"] for job in failed}
    pushed = house.told("jobs", "list", "--type", "push", "--limit", "1")["items"]
    assert [job["id"] for job in pushed] == [newer["id"]]
    assert house.told("jobs", "list", "--type", "push", "--source", "elsewhere")["items"] == []
    page = house.told("jobs", "list", "--limit", "1", "--since", "1h")
    rest = house.told("jobs", "list", "--limit", "1", "--cursor", page["next_cursor"])
    assert [one["items"][0]["id"] for one in (page, rest)] == [newer["id"], older["id"]]
    for words in (["--since", "yesterday"], ["--cursor", "x"]):
        assert house.call("jobs", "list", *words).exit_code == 2
    table = house.call("jobs", "list").stdout.splitlines()
    assert table[0].split()[:3] == ["job", "status", "source"]
    assert table[1].split()[:3] == [newer["id"], "failed", "github"]
    assert "Reject: no pushes here" in table[1]


def test_a_job_is_shown_as_the_api_shows_it_and_to_people(house: House) -> None:
    job = house.send("--type", "push")

    assert house.told("jobs", "show", job["id"]) == job
    shown = house.call("jobs", "show", job["id"]).stdout
    for words in ("failed", "taking:received", "1 of 2 (50 %)  half", "Reject: no pushes here"):
        assert words in shown
    assert "\x1b" not in shown
    assert "[2Jtaken" in shown


def test_an_event_is_listed_and_shown_with_its_jobs(house: House) -> None:
    job = house.send()

    newest = house.told("events", "list", "--source", "github", "--type", "ping")["items"][0]
    assert newest["jobs"] == [job["id"]]
    exported = house.call("events", "export", job["event_id"]).stdout
    file = house.directory / "export.json"
    file.write_text(exported)
    assert house.call("events", "verify", str(file)).stdout.startswith(f"sound: {job['event_id']}")
    file.write_text(exported.replace("github", "gitlab"))
    assert house.call("events", "verify", str(file)).exit_code == 1
    assert (
        "logically"
        not in house.call("events", "export", job["event_id"], "--no-body").stdout.split('"jobs": [')[0]
    )
    whole = house.told("events", "show", job["event_id"])
    assert {name: told for name, told in newest.items() if name != "status"}.items() <= whole.items()
    assert house.call("events", "list").stdout.splitlines()[1].split()[0] == job["event_id"]
    shown = house.call("events", "show", job["event_id"]).stdout
    assert job["id"] in shown
    assert "x-github-delivery" in shown
    assert '"zen": "Keep it logically awesome."' in shown
    assert SECRET not in shown


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["jobs", "show", "job_1"], "hookline: no job job_1\n"),
        (["events", "show", "evt_1"], "hookline: no event evt_1\n"),
        (["sources", "show", "nobody"], "hookline: no source nobody; there are: github\n"),
    ],
)
def test_what_is_not_there_is_one_line_and_1(house: House, words: list[str], line: str) -> None:
    done = house.run(*words)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", line)


def test_what_was_mangled_in_redis_is_a_warning(house: House) -> None:
    with connect_sync(house.environ["REDIS_URL"]) as client:
        client.set("hookline:corrupt:rq:queues:1", "mangled")
        try:
            done = house.run("doctor")
        finally:
            client.delete("hookline:corrupt:rq:queues:1")
    assert done.returncode == 0
    assert "1 key of the wrong kind moved away: hookline:corrupt:rq:queues:1" in done.stdout
    assert "nothing here loses data" in done.stdout


@pytest.mark.parametrize(
    ("setting", "value", "code"),
    [
        ("appendonly", "no", "redis-no-aof"),
        ("appendfsync", "no", "redis-no-fsync"),
        ("maxmemory-policy", "allkeys-lru", "redis-evicts"),
        ("maxmemory", "1mb", "redis-memory"),
    ],
)
def test_a_server_that_loses_events_ends_with_1(house: House, setting: str, value: str, code: str) -> None:
    with connect_sync(house.environ["REDIS_URL"]) as client:
        sound: Any = client.config_get(setting)
        client.config_set(setting, value)
        try:
            done = house.run("doctor", "--json")
        finally:
            client.config_set(setting, sound[setting])
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert report["sound"] is False
    assert [one["code"] for one in report["findings"] if one["severity"] == "error"] == [code]


def test_a_worker_counts_failures_by_their_place(house: House) -> None:
    house.send("--type", "push")

    async def groups() -> list[str]:
        async with connect(house.environ["REDIS_URL"]) as client:
            troubles = Ledger(client, seal=Seal(["any"])).troubles
            while not (found := await troubles.groups()):
                await asyncio.sleep(0.05)
            return [f"{one.handler} {one.type} {one.place}" for one in found]

    line = HANDLERS.split("\n").index('        raise Reject("no pushes here")') + 1
    assert asyncio.run(asyncio.wait_for(groups(), 20)) == [f"taking:received Reject taking.py:{line}"]


def test_no_worker_is_an_error(house: House) -> None:
    assert house.errors(REDIS_URL=house.environ["REDIS_URL"] + "?db=1") == ["no-worker"]


def test_another_secret_key_is_an_error(house: House) -> None:
    house.send()
    assert house.errors(HOOKLINE_SECRET_KEY="another-secret-key") == ["key-differs"]
    assert house.call("jobs", "list", HOOKLINE_SECRET_KEY="another-secret-key").stdout == "no jobs\n"


def test_a_handler_that_is_registered_twice_is_an_error(house: House) -> None:
    (house.directory / "twice.py").write_text(HANDLERS)
    try:
        report = house.examined(HOOKLINE_HANDLERS="taking,twice")
    finally:
        (house.directory / "twice.py").unlink()
    (error,) = [one for one in report["findings"] if one["severity"] == "error"]
    assert error["code"] == "handlers"
    assert "two handlers for ('github', '*')" in error["what"]


def test_a_redis_that_is_away_is_one_line(house: House) -> None:
    away = {"REDIS_URL": "unix:///nowhere/redis.sock"}
    listed = house.run("jobs", "list", **away)
    assert (listed.returncode, listed.stdout) == (1, "")
    assert listed.stderr.startswith("hookline: Redis did not confirm")
    assert listed.stderr.count("\n") == 1
    (finding,) = house.examined(**away)["findings"]
    assert (finding["code"], finding["what"]) == ("redis-away", "Redis does not answer: ConnectionError")


def test_help_names_every_command(house: House) -> None:
    done = house.run("--help")
    assert done.returncode == 0
    for name in ("dev", "web", "worker", "serve", "send", "sources", "jobs", "events", "doctor"):
        assert f"  {name} " in done.stdout


def test_a_request_that_was_refused_is_looked_into(house: House) -> None:
    assert house.call("send", "github", "--secret", "the-previous-secret").exit_code == 1

    (item, *_) = eventually(lambda: house.told("sources", "diagnose", "github")["items"])
    tried = house.call("sources", "diagnose", "github", "--try", text="the-previous-secret\n")

    assert (item["because"], item["holds"]) == ("no secret of the source makes this signature", [])
    assert "The secret that you gave would hold." in tried.stdout
    assert "the-previous-secret" not in tried.output
    assert house.call("sources", "diagnose", "make").exit_code == 1


def eventually(look: Callable[[], list[Any]]) -> list[Any]:
    """What there is, once there is something."""
    ends = time.monotonic() + 20
    while not (found := look()):
        assert time.monotonic() < ends
        time.sleep(0.1)
    return found
