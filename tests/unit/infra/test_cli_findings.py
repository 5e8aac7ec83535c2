"""What `hookline doctor` makes of the settings, the sources and the files' disk."""

from datetime import UTC, datetime
from typing import Any

import pytest

from infra.cli.findings import of_disk, of_routes, of_settings, of_sources
from infra.findings import Finding, Seen, Severity
from infra.ledger.overview import LiveWorker
from infra.ledger.reading import QueueCounts
from infra.ledger.records import HandlerEntry
from infra.settings import Settings
from ingest.sources import Sources, load_sources

NOW = datetime(2026, 11, 21, 20, 41, 11, tzinfo=UTC)
WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
KEY_SECRETS = "HOOKLINE_API_KEY_CALLBACK_SECRETS"
SOUND_SETTINGS = {
    "REDIS_URL": "redis://localhost",
    "HOOKLINE_SECRET_KEY": "0123456789abcdef",
    "HOOKLINE_PUBLIC_URL": "https://hooks.example.com",
    "HOOKLINE_CALLBACK_SECRET": WHSEC,
}
WORKER = LiveWorker("w1", "host", ("high", "default"))
ENTRY = HandlerEntry(source="acme", type="*", handler="handlers.acme:any")
E, W = Severity.ERROR, Severity.WARNING


def settings_of(environ: dict[str, str], file: str = "") -> tuple[Settings, Sources]:
    settings = Settings.load(environ)
    return settings, load_sources(settings, environ, read_file=lambda _: file)


def seen(**values: Any) -> Seen:
    return Seen(**{"now": NOW, "workers": [WORKER], "entries": [ENTRY], "waiting_since": {}} | values)


def assert_told(found: list[Finding], severity: Severity, *words: str) -> None:
    """Exactly one finding, which says so, and how to mend it."""
    assert [finding.severity for finding in found] == [severity], found
    assert all(word in found[0].text for word in words), found
    assert found[0].cure


def test_sound_settings_give_no_finding() -> None:
    settings, sources = settings_of(SOUND_SETTINGS | {"SOURCE_FIREFLIES_SECRET": "0123456789abcdef"})
    assert [*of_settings(settings, sources), *of_sources(sources, settings)] == []


@pytest.mark.parametrize(
    ("environ", "severity", "words"),
    [
        ({"REDIS_URL": ""}, E, "REDIS_URL is not set"),
        ({"HOOKLINE_SECRET_KEY": ""}, E, "HOOKLINE_SECRET_KEY is not set"),
        ({"HOOKLINE_SECRET_KEY": "0123456789abcdef,0123456789abcde"}, W, "HOOKLINE_SECRET_KEY is shorter"),
        ({"HOOKLINE_PUBLIC_URL": ""}, W, "HOOKLINE_PUBLIC_URL is not set"),
        ({"HOOKLINE_CALLBACK_SECRET": "", "HOOKLINE_API_KEYS": "a:b"}, E, "POST /jobs"),
        ({"HOOKLINE_CALLBACK_SECRET": "plain"}, E, "HOOKLINE_CALLBACK_SECRET needs whsec_"),
        ({"HOOKLINE_CALLBACK_SECRET": "whsec_AAAAAAAAAAAAAAAAAAAAAA=="}, W, "fewer than 24 bytes"),
        ({"HOOKLINE_CALLBACK_PRIVATE_KEY": "whsk_AAAA"}, E, "HOOKLINE_CALLBACK_PRIVATE_KEY"),
        ({KEY_SECRETS: "crm:plain"}, E, f"{KEY_SECRETS} needs whsec_"),
        ({KEY_SECRETS: f"crm:{WHSEC},crm:whsec_AAAAAAAAAAAAAAAAAAAAAA=="}, W, "fewer than 24 bytes"),
        ({KEY_SECRETS: f"crm:{WHSEC}", "HOOKLINE_API_KEYS": "cmr:k"}, W, f"{KEY_SECRETS} names crm"),
    ],
)
def test_a_setting_that_is_missing_or_weak_is_told(
    environ: dict[str, str], severity: Severity, words: str
) -> None:
    """A085, of keys that can be guessed."""
    settings, sources = settings_of(SOUND_SETTINGS | environ)
    assert_told(list(of_settings(settings, sources)), severity, words)


def test_a_source_that_calls_back_needs_a_callback_secret_of_its_own_or_the_house() -> None:
    environ = SOUND_SETTINGS | {
        "HOOKLINE_CALLBACK_SECRET": "",
        "SOURCE_GITHUB_SECRET": "0123456789abcdef",
        "SOURCE_GITHUB_CALLBACK_URL": "https://hooks.example.com/done",
    }
    assert_told(list(of_settings(*settings_of(environ))), E, "(github)")
    assert list(of_settings(*settings_of(environ | {"SOURCE_GITHUB_CALLBACK_SECRET": WHSEC}))) == []


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({}, "nothing can come in"),
        ({"SOURCE_GITHUB_SECRET": "0123456789abcdef,short"}, "source github has a secret of fewer than 16"),
        ({"HOOKLINE_API_KEYS": "a:b", "SOURCE_GITHUB_QUEUE": "low"}, "SOURCE_GITHUB_QUEUE reads like"),
    ],
)
def test_a_source_that_is_refused_or_weak_is_told(environ: dict[str, str], words: str) -> None:
    settings, sources = settings_of(environ)
    assert_told(list(of_sources(sources, settings)), W, words)


def test_a_source_whose_secret_is_not_set_is_told() -> None:
    settings, sources = settings_of({}, file='[two-words]\nprovider = "github"\nsecret = "env:NOT_SET"')
    found = list(of_sources(sources, settings))
    assert_told(found, W, "source two-words has no secret")
    assert "SOURCE_TWO_WORDS_SECRET" in found[0].cure


def test_a_source_that_takes_a_secret_from_anybody_is_told() -> None:
    settings, sources = settings_of({}, file='[notion]\nhandshake = "open"')
    without, opened = of_sources(sources, settings)
    assert_told([without], W, "source notion has no secret")
    assert_told([opened], W, "source notion lets anybody bring a secret")


def test_a_source_that_believes_everybody_is_told() -> None:
    settings, sources = settings_of(SOUND_SETTINGS, '[lan]\nprovider = "none"\n')
    assert_told(list(of_sources(sources, settings)), W, "source lan", "signed by nobody")


@pytest.mark.parametrize(("window", "told"), [("2h", False), ("90m", True)])
def test_a_tolerance_that_outlives_the_window_is_told(window: str, told: bool) -> None:
    """A025."""
    environ = SOUND_SETTINGS | {
        "HOOKLINE_DEDUP_WINDOW": window,
        "SOURCE_SLACK_SECRET": "0123456789abcdef",
        "SOURCE_SLACK_TOLERANCE": "2h",
    }
    settings, sources = settings_of(environ)
    found = list(of_sources(sources, settings))
    if told:
        assert_told(found, W, "source slack", "HOOKLINE_DEDUP_WINDOW")
    else:
        assert found == []


def test_no_finding_shows_a_secret() -> None:
    environ = {
        "HOOKLINE_SECRET_KEY": "hush-1",
        "HOOKLINE_CALLBACK_SECRET": "hush-2",
        "HOOKLINE_API_KEYS": "a:hush-3",
        "SOURCE_GITHUB_SECRET": "hush-4",
    }
    settings, sources = settings_of(environ)
    assert "hush" not in repr([*of_settings(settings, sources), *of_sources(sources, settings)])


def test_a_live_worker_that_serves_every_source_gives_no_finding() -> None:
    _, sources = settings_of({"SOURCE_ACME_SECRET": "s", "SOURCE_ACME_PROVIDER": "bearer"})
    assert list(of_routes(seen(), sources)) == []
    assert list(of_routes(seen(workers=[]), sources)) == []  # that none lives is told elsewhere


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"entries": [ENTRY, HandlerEntry(source="b", type="*", handler="h", queue="bulk")]}, "queue bulk"),
        ({"entries": []}, "no live worker has a handler for source acme"),
    ],
)
def test_a_way_that_leads_nowhere_is_told(values: dict[str, Any], words: str) -> None:
    _, sources = settings_of({"SOURCE_ACME_SECRET": "s", "SOURCE_ACME_PROVIDER": "bearer"})
    assert_told(list(of_routes(seen(**values), sources)), W, words)


def test_what_another_rule_tells_is_told_once() -> None:
    _, sources = settings_of({"SOURCE_ACME_SECRET": "s", "SOURCE_ACME_PROVIDER": "bearer"})
    full = seen(
        entries=[ENTRY, HandlerEntry(source="b", type="*", handler="h", queue="bulk")],
        queues=[QueueCounts("bulk", 1, 0, 0, 0)],
    )
    ignored = seen(entries=[], ignored=[("acme", "paid")])
    assert [*of_routes(full, sources), *of_routes(ignored, sources)] == []


def test_a_disk_that_is_nearly_full_is_told() -> None:
    assert list(of_disk("HOOKLINE_FILES", free=50, total=1000)) == []
    assert_told(list(of_disk("HOOKLINE_FILES", free=49, total=1000)), W, "HOOKLINE_FILES", "5% left")
