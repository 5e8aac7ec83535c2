"""What `hookline doctor` makes of what it sees."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from infra.cli.findings import (
    Finding,
    Seen,
    Severity,
    of_records,
    of_server,
    of_settings,
    of_sources,
    of_workers,
)
from infra.ledger.overview import LiveWorker
from infra.ledger.reading import QueueCounts
from infra.ledger.records import HandlerEntry
from infra.settings import Settings
from infra.store import Facts
from ingest.sources import Sources, load_sources

NOW = datetime(2026, 11, 21, 20, 41, 11, tzinfo=UTC)
WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SOUND_SETTINGS = {
    "REDIS_URL": "redis://localhost",
    "HOOKLINE_SECRET_KEY": "0123456789abcdef",
    "HOOKLINE_PUBLIC_URL": "https://hooks.example.com",
    "HOOKLINE_CALLBACK_SECRET": WHSEC,
}
SOUND_SERVER: dict[str, Any] = {
    "name": "Valkey 9.1.2",
    "append_only": True,
    "writes_fail": "",
    "eviction": "noeviction",
    "memory_used": 79,
    "memory_most": 100,
    "clock_off": timedelta(seconds=5),
    "cluster": False,
    "replica": False,
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
    assert all(word in found[0].what for word in words), found
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
    ],
)
def test_a_setting_that_is_missing_or_weak_is_told(
    environ: dict[str, str], severity: Severity, words: str
) -> None:
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


def test_a_sound_server_gives_no_finding() -> None:
    assert list(of_server(Facts(**SOUND_SERVER))) == []
    assert list(of_server(Facts(**SOUND_SERVER | {"memory_most": 0}))) == []


@pytest.mark.parametrize(
    ("facts", "severity", "words"),
    [
        ({"name": "Redis 6.2.14"}, E, "too old"),
        ({"name": "Valkey 7.1.0"}, E, "too old"),
        ({"cluster": True}, E, "cluster"),
        ({"replica": True}, E, "replica"),
        ({"append_only": False}, E, "append-only"),
        ({"writes_fail": "the append-only file can't be written"}, E, "refuses writes"),
        ({"eviction": "allkeys-lru"}, E, "allkeys-lru"),
        ({"memory_used": 80}, W, "80%"),
        ({"memory_used": 100}, E, "100%"),
        ({"clock_off": timedelta(seconds=6)}, W, "6 s ahead"),
        ({"clock_off": timedelta(seconds=-6)}, W, "6 s behind"),
    ],
)
def test_a_server_that_could_lose_data_is_told(facts: dict[str, Any], severity: Severity, words: str) -> None:
    server = Facts(**SOUND_SERVER | facts)
    assert_told(list(of_server(server)), severity, words)
    assert not server.troubles() or severity is E  # what /readyz refuses is an error here


def test_a_live_worker_that_serves_everything_gives_no_finding() -> None:
    _, sources = settings_of({"SOURCE_ACME_SECRET": "s", "SOURCE_ACME_PROVIDER": "bearer"})
    looked = seen(
        queues=[QueueCounts("default", 3, 0, 1, 9)], waiting_since={"default": NOW - timedelta(minutes=5)}
    )
    assert list(of_workers(looked, sources)) == []


@pytest.mark.parametrize(
    ("values", "severity", "words"),
    [
        ({"workers": []}, E, "no worker is alive"),
        ({"queues": [QueueCounts("low", 2, 1, 0, 0)]}, E, "3 jobs in queue low"),
        ({"queues": [QueueCounts("low", 0, 0, 0, 7)]}, None, ""),
        (
            {"entries": [ENTRY, HandlerEntry(source="b", type="*", handler="h", queue="bulk")]},
            W,
            "queue bulk",
        ),
        ({"entries": []}, W, "no live worker has a handler for source acme"),
        (
            {
                "queues": [QueueCounts("high", 4, 0, 0, 0)],
                "waiting_since": {"high": NOW - timedelta(minutes=6)},
            },
            W,
            "4 jobs in queue high; the next one was queued 6 min ago",
        ),
    ],
)
def test_work_that_nobody_does_is_told(values: dict[str, Any], severity: Severity | None, words: str) -> None:
    _, sources = settings_of({"SOURCE_ACME_SECRET": "s", "SOURCE_ACME_PROVIDER": "bearer"})
    found = list(of_workers(seen(**values), sources))
    if severity is None:
        assert found == []
    else:
        assert_told(found, severity, words)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"quarantined": ["job_1"]}, "1 record put aside"),
        ({"corrupt": ["a", "b", "c", "d"]}, "4 keys of the wrong kind moved away: a, b, c, …"),
        ({"dead_callbacks": 2}, "2 callbacks given up"),
    ],
)
def test_what_waits_for_a_person_is_told(values: dict[str, Any], words: str) -> None:
    assert list(of_records(seen())) == []
    assert_told(list(of_records(seen(**values))), W, words)


def test_events_that_another_key_sealed_are_an_error() -> None:
    assert_told(list(of_records(seen(sealed_by_others=True))), E, "sealed with our HOOKLINE_SECRET_KEY")
