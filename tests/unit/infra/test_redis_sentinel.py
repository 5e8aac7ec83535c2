import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.redis_client import connect, connect_sync
from infra.redis_sentinel import read
from infra.settings import SettingsError


@pytest.mark.parametrize(
    ("url", "addresses", "primary", "options", "own"),
    [
        ("sentinel://one/main", (("one", 26379),), "main", {"db": 0}, {}),
        ("sentinel://one:1,two,[fd00::3]:3/my-app.1/4", (("one", 1), ("two", 26379), ("fd00::3", 3)), "my-app.1", {"db": 4}, {}),
        ("sentinel://:p%40%2Fss@one/main", (("one", 26379),), "main", {"db": 0, "password": "p@/ss"}, {}),
        ("sentinel://user:hush@one/main/", (("one", 26379),), "main", {"db": 0, "username": "user", "password": "hush"}, {}),
        ("sentinel://one/main?sentinel_password=a%26b", (("one", 26379),), "main", {"db": 0}, {"password": "a&b"}),
    ],
)  # fmt: skip
def test_an_address_names_sentinels_a_primary_and_a_database(
    url: str, addresses: object, primary: str, options: object, own: object
) -> None:
    assert read(url) == (addresses, primary, options, own)


@pytest.mark.parametrize(
    "url",
    [
        "sentinel://",
        "sentinel://one",
        "sentinel:///main",
        "sentinel://one,/main",
        "sentinel://one:port/main",
        "sentinel://one:99999/main",
        "sentinel://one/main/zero",
        "sentinel://one/main/1/2",
        "sentinel://one/main#hush",
        "sentinel://one/main?hush=1",
        "sentinel://[::1/main",
        "sentinel://:hu/sh@one/main",
    ],
)
def test_an_address_that_cant_be_used_is_refused_in_words(url: str) -> None:
    with pytest.raises(SettingsError, match=r"^REDIS_URL: ") as refusal:
        read(url)
    assert "hush" not in str(refusal.value)


@given(st.text())
def test_whatever_the_address_the_only_refusal_is_ours(text: str) -> None:
    for url in (f"sentinel://{text}", f"sentinel://one/{text}", f"sentinel://{text}@one/main"):
        try:
            assert read(url).addresses
        except SettingsError as refusal:
            assert str(refusal).startswith("REDIS_URL: ")  # noqa: PT017 - whether it is raised depends on the text


@pytest.mark.parametrize("make", [connect, connect_sync])
@pytest.mark.parametrize(("blocking", "timeout"), [(False, 5.0), (True, None)])
def test_the_primary_is_spoken_to_as_any_other_server(
    make: object, blocking: bool, timeout: float | None
) -> None:
    assert callable(make)
    options = make("sentinel://:hush@one/main/2", blocking=blocking).connection_pool.connection_kwargs
    assert (options["db"], options["password"], options["protocol"]) == (2, "hush", 2)
    assert (options["socket_timeout"], options["retry"].get_retries()) == (timeout, 0)


@pytest.mark.parametrize("make", [connect, connect_sync])
def test_sentinels_do_not_get_the_password_of_redis(make: object) -> None:
    assert callable(make)
    (asked,) = make(
        "sentinel://:hush@one/main?sentinel_password=own", blocking=True
    ).connection_pool.sentinel_manager.sentinels
    options = asked.connection_pool.connection_kwargs
    assert (options["password"], options["socket_timeout"]) == ("own", 5.0)
