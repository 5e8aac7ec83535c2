"""``hookline keys``: what it prints works as it is."""

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from infra.cli import hookline
from infra.settings import Settings
from infra.signatures import CallbackKey, callback_keys_of, secrets_by_key, whsec_key


def call(*words: str, **environ: str) -> str:
    foreign = {name: None for name in os.environ if name.startswith(("HOOKLINE_", "SOURCE_", "REDIS"))}
    done = CliRunner(env=foreign | environ).invoke(hookline, ["keys", *words])
    assert (done.exit_code, done.stderr) == (0, "")
    return done.stdout


def lines_of(printed: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in printed.splitlines() if not line.startswith("#"))


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_lines_are_settings() -> None:
    printed = call("new")
    settings = Settings.load(lines_of(printed))
    (key,) = callback_keys_of(settings)
    assert [len(whsec_key(secret)) for secret in settings.callback_secrets or ()] == [32]
    assert key.public_key in printed


def test_none_is_made_twice() -> None:
    assert lines_of(call("new")).items().isdisjoint(lines_of(call("new")).items())


def test_rotating_puts_new_ones_before_those_that_are_set() -> None:
    old = lines_of(call("new"))
    for name, value in lines_of(call("rotate", **old)).items():
        new, _, behind = value.partition(",")
        assert (behind, new != behind) == (old[name], True)


def test_an_api_key_gets_a_secret_of_its_own_before_those_that_it_has() -> None:
    environ = {"HOOKLINE_API_KEYS": "crm:k1,billing:k2"}
    first = lines_of(call("rotate", "--api-key", "crm", **environ))
    other = lines_of(call("rotate", "--api-key", "billing", **environ | first))
    third = lines_of(call("rotate", "--api-key", "crm", **environ | other))
    found = secrets_by_key(Settings.load(third))
    assert {name: len(secrets) for name, secrets in found.items()} == {"crm": 2, "billing": 1}
    assert found["crm"][1:] == secrets_by_key(Settings.load(first))["crm"]
    assert "HOOKLINE_CALLBACK_SECRET" not in third


def test_an_api_key_that_is_not_there_gets_none() -> None:
    done = CliRunner(env={"HOOKLINE_API_KEYS": "crm:k1"}).invoke(
        hookline, ["keys", "rotate", "--api-key", "cmr"]
    )
    assert (done.exit_code, done.stdout) == (1, "")
    assert "HOOKLINE_API_KEYS has no cmr" in done.stderr


def test_the_json_has_the_public_key_in_both_forms() -> None:
    told = json.loads(call("new", "--json"))
    key = CallbackKey(told["HOOKLINE_CALLBACK_PRIVATE_KEY"])
    assert (told["public_key"], told["jwk"]) == (key.public_key, key.jwk)
