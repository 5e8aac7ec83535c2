import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest
import redis
import redis.asyncio
from hypothesis import given
from hypothesis import strategies as st

from infra.redis_client import Memory, connect, connect_sync, memory
from infra.settings import SettingsError

Make = Callable[..., redis.Redis | redis.asyncio.Redis]

both = pytest.mark.parametrize("make", [connect, connect_sync])


def options_of(client: redis.Redis | redis.asyncio.Redis) -> dict[str, Any]:
    """What its connections would be made with."""
    options: dict[str, Any] = client.connection_pool.connection_kwargs
    return options


def refusal(url: str) -> str:
    """The words an address is refused with; none if it is taken."""
    try:
        connect_sync(url)
    except SettingsError as error:
        return str(error)
    return ""


@both
@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://cache.example", {"host": "cache.example"}),
        ("redis://cache.example:6380/2", {"host": "cache.example", "port": 6380, "db": 2}),
        ("rediss://default:p%40ss@cache.example:1", {"username": "default", "password": "p@ss", "port": 1}),
        ("rediss://cache.example?ssl_cert_reqs=none", {"ssl_cert_reqs": "none"}),
        ("redis://[::1]:6379", {"host": "::1"}),
        ("unix:///run/redis%20here.sock?db=3", {"path": "/run/redis here.sock", "db": 3}),
        ("redis://cache.example?family=0", {"host": "cache.example"}),
        ("redis://cache.example/1?family=6&db=2", {"db": 2}),
    ],
)
def test_an_address_means_what_it_means_everywhere(make: Make, url: str, expected: dict[str, object]) -> None:
    options = options_of(make(url))
    assert expected.items() <= options.items()
    assert "family" not in options


@both
def test_clients_speak_resp2_in_bytes_and_give_up_on_a_silent_server(make: Make) -> None:
    options = options_of(make("redis://cache.example"))
    assert (options["protocol"], options["decode_responses"]) == (2, False)
    assert (options["socket_timeout"], options["socket_connect_timeout"]) == (5.0, 5.0)


@both
def test_a_blocking_client_waits_for_an_answer_but_not_for_a_connection(make: Make) -> None:
    options = options_of(make("redis://cache.example", blocking=True))
    assert (options["socket_timeout"], options["socket_connect_timeout"]) == (None, 5.0)


@both
def test_nothing_is_repeated_behind_our_back(make: Make) -> None:
    assert options_of(make("redis://cache.example"))["retry"].get_retries() == 0


def test_family_is_dropped_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        connect("redis://:hush@cache.example?family=0")
    assert "family" in caplog.text
    assert "hush" not in caplog.text


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "redis://, rediss://, unix:// or sentinel://"),
        ("cache.example:6379", "redis://, rediss://, unix:// or sentinel://"),
        ("http://cache.example", "redis://, rediss://, unix:// or sentinel://"),
        ("redis://", "can't be read"),
        ("redis://:hush@/0", "can't be read"),
        ("redis://cache.example:port", "can't be read"),
        ("redis://cache.example:99999", "can't be read"),
        ("redis://[::1", "can't be read"),
        ("redis://cache.example/zero", "can't be read"),
        ("redis://:hu/sh@cache.example", "can't be read"),
        ("redis://user:12/hush@cache.example", "can't be read"),
        ("redis://:hu#sh@cache.example", "can't be read"),
        ("redis://user:1?hush@cache.example", "can't be read"),
        ("redis://cache.example#hush", "can't be read"),
        ("unix://run/redis.sock", "whole path"),
        ("unix://", "whole path"),
        ("redis://cache.example?decode_responses=true", "only these are understood: db, password, username"),
        ("redis://cache.example?ssl_cert_reqs=none", "only these"),
        ("redis://cache.example?db=hush", "db needs a number"),
    ],
)
def test_an_address_that_we_cant_use_is_refused_in_words(url: str, reason: str) -> None:
    assert refusal(url).startswith("REDIS_URL: ")
    assert reason in refusal(url)
    assert "hush" not in refusal(url)
    with pytest.raises(SettingsError):
        connect(url)


@given(st.text())
def test_whatever_the_address_the_only_refusal_is_ours(url: str) -> None:
    for address in (
        url,
        f"redis://{url}",
        f"unix:///{url}",
        f"redis://host/{url}",
        f"rediss://host?{url}",
        f"sentinel://{url}",
        f"sentinel://one/{url}",
    ):
        assert refusal(address).startswith("REDIS_URL: ") or not refusal(address)


def test_both_clients_of_the_memory_see_the_same_data(fake: Memory) -> None:
    async def write() -> None:
        async with fake.asynchronous as client:
            await client.set("key", "value")

    asyncio.run(write())
    assert fake.synchronous.get("key") == b"value"
    assert memory().synchronous.get("key") is None
