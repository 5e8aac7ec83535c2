"""``hookline callbacks check`` as a command: what it needs, what it prints, how it ends."""

import json
import os
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from click.testing import CliRunner, Result

from infra.cli import hookline, receiver_check
from worker.callbacks.check import Verdict

pytestmark = pytest.mark.usefixtures("elsewhere")

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
URL = "https://receiver.example/inbox"


def call(*words: str, **environ: str) -> Result:
    foreign = {name: None for name in os.environ if name.startswith(("HOOKLINE_", "SOURCE_", "REDIS"))}
    return CliRunner(env=foreign | environ).invoke(hookline, ("callbacks", "check", *words))


def earning(grade: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A receiver that earns a grade, and the secrets that it was checked with."""
    secrets = []

    async def run(_settings: Any, _url: str, secret: str) -> Sequence[Verdict]:
        secrets.append(secret)
        return [Verdict("stale", "204", timedelta(milliseconds=12), grade, "some words")]

    monkeypatch.setattr(receiver_check, "_run", run)
    return secrets


@pytest.mark.parametrize(("grade", "code"), [("A", 0), ("B", 0), ("C", 1), ("F", 1)])
def test_it_ends_by_the_grade(grade: str, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    earning(grade, monkeypatch)
    done = call(URL, "--secret", SECRET)
    assert done.exit_code == code
    assert "some words" in done.stdout
    assert done.stdout.splitlines()[-1] == grade


def test_it_takes_the_newest_secret_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = earning("A", monkeypatch)
    told = json.loads(
        call(URL, "--json", HOOKLINE_CALLBACK_SECRET=f"{SECRET},whsec_b2xkIG9sZCBvbGQgb2xkIG9s").stdout
    )
    assert secrets == [SECRET]
    assert (told["url"], told["grade"]) == (URL, "A")
    assert told["probes"] == [
        {"probe": "stale", "answer": "204", "duration_ms": 12, "grade": "A", "words": "some words"}
    ]


@pytest.mark.parametrize("words", [(URL,), (URL, "--secret", "hunter2"), ()])
def test_without_a_usable_secret_or_a_url_the_call_is_wrong(words: tuple[str, ...]) -> None:
    done = call(*words)
    assert done.exit_code == 2
    assert "hunter2" not in done.output


def test_an_inner_address_is_refused_by_the_guard() -> None:
    done = call("https://169.254.169.254/latest/meta-data", "--secret", SECRET, "--json")
    assert (done.exit_code, json.loads(done.stdout)["grade"]) == (1, "F")
