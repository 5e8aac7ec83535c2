"""Every command that looks or sends, as a real process, against a running web, worker and Valkey."""

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
from infra.redis_client import connect_sync
from tests.conftest import Spawned, spawning

pytestmark = pytest.mark.needs_server

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
    assert listed[0] == newer
    failed = house.told("jobs", "list", "--status", "failed", "--source", "github")["items"]
    assert {job["status"] for job in failed} == {"failed"}
    assert newer["id"] in {job["id"] for job in failed}
    pushed = house.told("jobs", "list", "--type", "push", "--limit", "1")["items"]
    assert [job["id"] for job in pushed] == [newer["id"]]
    assert house.told("jobs", "list", "--type", "push", "--source", "elsewhere")["items"] == []
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
    assert house.told("events", "show", job["event_id"]) == newest
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


def test_a_sound_house_is_told_to_be_sound(house: House) -> None:
    done = house.run("doctor")
    assert (done.returncode, done.stdout, done.stderr) == (0, "sound\n", "")
    assert house.told("doctor") == {"sound": True, "findings": []}


def test_what_was_mangled_in_redis_is_a_warning(house: House) -> None:
    with connect_sync(house.environ["REDIS_URL"]) as client:
        client.set("hookline:corrupt:rq:queues:1", "mangled")
        try:
            done = house.call("doctor")
        finally:
            client.delete("hookline:corrupt:rq:queues:1")
    assert done.exit_code == 0
    assert "1 key of the wrong kind moved away: hookline:corrupt:rq:queues:1" in done.stdout
    assert done.stdout.endswith("nothing here loses data; 1 warning\n")


def test_a_server_that_keeps_nothing_and_has_no_worker_ends_with_1(house: House) -> None:
    with connect_sync(house.environ["REDIS_URL"]) as client:
        client.config_set("appendonly", "no")
        try:
            report = house.told("doctor")
        finally:
            client.config_set("appendonly", "yes")
    assert report["sound"] is False
    assert [one["severity"] for one in report["findings"]] == ["error"]
    assert "append-only" in report["findings"][0]["what"]
    empty = house.told("doctor", REDIS_URL=house.environ["REDIS_URL"] + "?db=1")
    assert [one["what"] for one in empty["findings"]] == ["no worker is alive: what is accepted waits"]


def test_another_secret_key_is_an_error(house: House) -> None:
    house.send()
    report = house.told("doctor", HOOKLINE_SECRET_KEY="another-secret-key")
    assert [one["severity"] for one in report["findings"]] == ["error"]
    assert "sealed with our HOOKLINE_SECRET_KEY" in report["findings"][0]["what"]
    assert house.call("jobs", "list", HOOKLINE_SECRET_KEY="another-secret-key").stdout == "no jobs\n"


def test_a_redis_that_is_away_is_one_line(house: House) -> None:
    away = {"REDIS_URL": "unix:///nowhere/redis.sock"}
    listed = house.run("jobs", "list", **away)
    assert (listed.returncode, listed.stdout) == (1, "")
    assert listed.stderr.startswith("hookline: Redis did not answer")
    assert listed.stderr.count("\n") == 1
    report = house.told("doctor", **away)
    assert [one["what"] for one in report["findings"]] == ["Redis does not answer: ConnectionError"]


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
