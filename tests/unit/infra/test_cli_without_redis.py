"""Commands as far as they go without a server: usage, sources, and what doctor says when there is nothing to look at."""

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import httpx
import pytest
from click.testing import CliRunner, Result

from infra.cli import doctor, events, jobs, send, sources
from infra.cli.looking import NotFound
from infra.cli.send import SendError, answers, told
from infra.cli.tables import print_facts, print_table
from infra.hidden_text import hide
from infra.settings import SettingsError

pytestmark = pytest.mark.usefixtures("elsewhere")

SECRET = "a-secret-of-thirty-characters!"


def call(command: click.Command, *words: str, text: str | None = None, **environ: str) -> Result:
    """Call a command with these variables and none of the developer's."""
    ours = ("HOOKLINE_", "SOURCE_", "REDIS", "PORT", "HOST", "FIREFLIES_")
    foreign = {name: None for name in os.environ if name.startswith(ours)}
    settings = {"HOOKLINE_SOURCES": "/nowhere/sources.toml"} | environ
    return CliRunner(env=foreign | settings).invoke(command, words, input=text)


@pytest.fixture
def silent() -> Iterator[str]:
    """An address where nobody listens, and nobody else will."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{bound.getsockname()[1]}"


# -- sources -----------------------------------------------------------------------------------------------------------

SOURCES = {
    "SOURCE_FIREFLIES_SECRET": SECRET,
    "SOURCE_FIREFLIES_RATE": "600/m",
    "SOURCE_FIREFLIES_CALLBACK_URL": "https://hook.eu1.make.com/a-secret-path",
    "SOURCE_ACME_SECRET": SECRET,
    "SOURCE_ACME_PROVIDER": "bearer",
    "SOURCE_ACME_CALLBACK_URL": "header:X-Callback",
    "SOURCE_GITHUB_SECRET": SECRET,
    "SOURCE_GITHUB_CALLBACK_URL": "json:$.callback",
}


@pytest.fixture
def declared(tmp_path: Path) -> dict[str, str]:
    """Variables for four sources; the secret of `make` is not set."""
    file = tmp_path / "sources.toml"
    file.write_text('[make]\nsecret = "env:MAKE_SECRET"\nqueue = "bulk"\n')
    return SOURCES | {"HOOKLINE_SOURCES": str(file)}


def test_a_secret_that_was_brought_is_revealed_to_who_has_the_key() -> None:
    hidden = hide("secret_of_notion", ["older"])
    revealed = call(sources.command, "reveal", hidden, HOOKLINE_SECRET_KEY="newer,older")
    assert (revealed.exit_code, revealed.stdout) == (0, "secret_of_notion\n")
    for environ in ({"HOOKLINE_SECRET_KEY": "another"}, {}):
        refused = call(sources.command, "reveal", hidden, **environ)
        assert refused.exit_code == 1
        assert "secret_of_notion" not in refused.output


def test_sources_are_listed_without_a_secret(declared: dict[str, str]) -> None:
    listed = call(
        sources.command, "list", "--json", **declared, HOOKLINE_PUBLIC_URL="https://hooks.example.com/"
    )

    assert listed.exit_code == 0
    views = {view["name"]: view for view in json.loads(listed.stdout)["items"]}
    assert list(views) == ["acme", "fireflies", "github", "make"]
    assert views["fireflies"] == {
        "name": "fireflies",
        "provider": "fireflies",
        "address": "https://hooks.example.com/hooks/fireflies",
        "has_secret": True,
        "needs_secret": True,
        "scheme": "HMAC-SHA256 of {body} in X-Hub-Signature",
        "covers": "body",
        "queue": "default",
        "rate": "600/60s",
        "callback": "hook.eu1.make.com",
        "tag": None,
    }
    assert views["acme"]["callback"] == "from a header"
    assert views["acme"]["scheme"] == "static key in Authorization"
    assert views["github"]["callback"] == "from the body"
    assert (views["make"]["has_secret"], views["make"]["queue"]) == (False, "bulk")
    for words in (("list",), ("show", "fireflies"), ("show", "fireflies", "--json")):
        shown = call(sources.command, *words, **declared)
        assert shown.exit_code == 0
        assert "secret-path" not in shown.output + listed.output
        assert SECRET not in shown.output + listed.output


def test_one_source_is_shown_with_the_address_to_paste(declared: dict[str, str]) -> None:
    shown = call(sources.command, "show", "make", **declared)
    assert "/hooks/make" in shown.stdout
    assert "missing: everything is refused" in shown.stdout
    assert "HOOKLINE_PUBLIC_URL is not set" in shown.stderr


@pytest.mark.parametrize(
    ("table", "shown"),
    [
        ('provider = "asymmetric"\nheader = "X"\nkeys_url = "https://acme.example/jwks.json"', "not needed"),
        ('provider = "none"', "not needed"),
        ('provider = "bearer"\ncallback_url = "form:callback"', "from the body"),
    ],
)
def test_what_a_source_does_without_is_not_said_to_be_missing(table: str, shown: str, tmp_path: Path) -> None:
    file = tmp_path / "sources.toml"
    file.write_text(f"[acme]\n{table}\n")
    assert shown in call(sources.command, "show", "acme", HOOKLINE_SOURCES=str(file)).stdout


def test_a_source_that_is_not_there_is_an_error_that_names_the_others(declared: dict[str, str]) -> None:
    shown = call(sources.command, "show", "nobody", **declared)
    assert isinstance(shown.exception, NotFound)
    assert str(shown.exception) == "no source nobody; there are: acme, fireflies, github, make"


def test_no_sources_are_said_to_be_none() -> None:
    assert call(sources.command, "list").stdout.startswith("no sources")
    assert json.loads(call(sources.command, "list", "--json").stdout) == {"items": []}


# -- send --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "environ", "message"),
    [
        (["nobody"], {}, "needs a source or a provider: adyen, airtable"),
        (["github"], {}, "no secret for github: give --secret, or set SOURCE_GITHUB_SECRET"),
        (["hmac", "--secret", "s"], {}, "leaves its header to a source"),
        (["standard-webhooks", "--secret", "whsec_§"], {}, "needs base64"),
        (["github", "--secret", "s", "--url", "ftp://x"], {}, "needs an address that starts with http"),
        (["github", "--secret", "s", "--url", "http://x:y"], {}, "needs an address that starts with http"),
        (["github", "--secret", "s", "--body", "/nowhere/body"], {}, "No such file"),
        (["github", "--secret", "s", "--count", "0"], {}, "0 is not in the range"),
        (["fireflies", "--secret", "s", "--body", "-", "--type", "t"], {}, "the type stands in the body"),
    ],
)
def test_words_that_are_off_end_with_2(words: list[str], environ: dict[str, str], message: str) -> None:
    result = call(send.command, *words, **environ)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())


def test_an_address_that_does_not_answer_is_an_error_in_one_line(silent: str) -> None:
    url = f"http://{silent}/hooks/github"
    result = call(send.command, "github", "--secret", "s", "--url", url)
    assert isinstance(result.exception, SendError)
    assert str(result.exception) == f"{url} does not answer: ConnectError"


def test_waiting_asks_for_it() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(202, json={})

    requests = [httpx.Request("POST", "http://hooks.example.com") for _ in range(4)]
    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        assert len(list(answers(client, requests[:2], wait=True))) == 2
        assert len(list(answers(client, requests[2:], wait=False))) == 2
    assert [request.headers.get("Prefer") for request in asked] == ["wait=60", "wait=60", None, None]


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        (
            httpx.Response(
                200, json={"status": "finished", "job_id": "job_1", "event_id": "evt_1", "duplicate": True}
            ),
            "200 finished job_1 evt_1 (a duplicate: nothing runs twice)",
        ),
        (httpx.Response(200, json={"id": "job_1", "status": "finished"}), "200 finished job_1"),
        (httpx.Response(502, text="<html>\x1b[2J"), "502 Bad Gateway"),
        (httpx.Response(200, text="fine"), "200"),
        (httpx.Response(503, json={"code": "a\x1b[2J", "title": "b"}), "503 a\ufffd[2J: b"),
        (httpx.Response(200, json=[1]), "200"),
    ],
)
def test_an_answer_is_told_in_a_line(answer: httpx.Response, line: str) -> None:
    assert told(answer) == line


# -- doctor ------------------------------------------------------------------------------------------------------------


def findings(**environ: str) -> list[dict[str, Any]]:
    result = call(doctor.command, "--json", **environ)
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert report["sound"] is False
    found: list[dict[str, Any]] = report["findings"]
    return found


@pytest.mark.parametrize(
    ("environ", "what"),
    [
        ({}, "REDIS_URL is not set"),
        ({"HOOKLINE_LEASE": "soon"}, "HOOKLINE_LEASE: not a duration"),
        ({"SOURCE_ACME_SECRET": "s"}, "SOURCE_ACME_SECRET: provider needs one of"),
        ({"REDIS_URL": "http://hush@x"}, "REDIS_URL: needs an address"),
        ({"REDIS_URL": "unix:///nowhere/redis.sock?password=hush"}, "Redis does not answer: ConnectionError"),
    ],
)
def test_what_keeps_doctor_from_looking_is_a_finding(environ: dict[str, str], what: str) -> None:
    found = findings(**environ)
    assert [one for one in found if one["severity"] == "error" and one["what"].startswith(what)]
    assert "hush" not in json.dumps(found)


def test_what_is_wrong_with_one_of_several_servers_names_it() -> None:
    found = findings(HOOKLINE_SHARDS="unix:///nowhere/0.sock unix:///nowhere/1.sock")
    away = [one for one in found if one["code"] == "redis-away"]
    assert [(one["subject"], one["what"]) for one in away] == [
        (f"shard {number}", f"shard {number}: Redis does not answer: ConnectionError") for number in (0, 1)
    ]
    assert not [one for one in found if one["code"] == "redis-url"]


@pytest.mark.parametrize(
    ("environ", "what"),
    [
        ({"HOOKLINE_SHARDS": "http://hush@x redis://y"}, "HOOKLINE_SHARDS: needs"),
        (
            {"HOOKLINE_SHARDS": "redis://x redis://y", "HOOKLINE_SHARDS_BEFORE": "2"},
            "HOOKLINE_SHARDS_BEFORE: needs",
        ),
    ],
)
def test_several_servers_that_can_not_be_meant_are_a_finding(environ: dict[str, str], what: str) -> None:
    found = findings(**environ)
    assert [one for one in found if one["severity"] == "error" and one["what"].startswith(what)]
    assert "hush" not in json.dumps(found)


def test_errors_are_told_before_warnings_and_counted() -> None:
    result = call(doctor.command)
    lines = result.stdout.splitlines()
    assert result.exit_code == 1
    assert [line.split()[0] for line in lines if line and line[0] != " "] == [
        *["error"] * 2,
        *["warning"] * 2,
        "2",
    ]
    assert lines[-1] == "2 errors, 2 warnings"


# -- what is shared ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [jobs.command, events.command])
def test_looking_without_settings_names_the_variable(command: click.Command) -> None:
    result = call(command, "list")
    assert isinstance(result.exception, SettingsError)
    assert str(result.exception).startswith("HOOKLINE_SECRET_KEY: needed")


def test_what_strangers_sent_is_shown_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("id", "text"), [("[red]1[/]", "\x1b[2J[bold]x[/]"), ("2", "y" * 300)])
    print_facts([("[red]", "\x07z"), ("left out", None), ("empty", "")])
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "[red]1[/]  \ufffd[2J[bold]x[/]" in shown
    assert "y" * 300 in shown  # a pipe gets whole lines
    assert shown.splitlines()[-1].split() == ["[red]", "\ufffdz"]
