from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.settings import Settings, SettingsError, documented_settings

VARIABLES = [field.metadata["variable"] for field in documented_settings()]
SECRET_VARIABLES = [field.metadata["variable"] for field in documented_settings() if not field.repr]


def test_nothing_set_gives_the_defaults() -> None:
    settings = Settings.load({})
    assert (settings.port, settings.redis_url, settings.queues) == (8000, None, ("high", "default", "low"))


def test_an_empty_variable_is_as_good_as_none() -> None:
    assert Settings.load(dict.fromkeys(VARIABLES, "")) == Settings.load({})


def test_the_defaults_are_read_by_the_fields_own_parsers() -> None:
    defaults = {
        field.metadata["variable"]: field.metadata["default"]
        for field in documented_settings()
        if field.metadata["default"]
    }
    assert Settings.load(defaults) == Settings.load({})


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"REDIS_URL": "redis://a", "REDIS_PRIVATE_URL": "redis://b", "REDIS_HOST": "c"}, "redis://a"),
        ({"REDIS_PRIVATE_URL": "redis://b", "REDIS_HOST": "c"}, "redis://b"),
        ({"REDIS_HOST": "c"}, "redis://c:6379"),
        ({"REDIS_HOST": "c", "REDIS_PORT": "7"}, "redis://c:7"),
        ({"REDIS_HOST": "::1", "REDIS_PORT": "7"}, "redis://[::1]:7"),
        ({"REDIS_PORT": "7"}, None),
    ],
)
def test_redis_is_found_under_its_older_names(environ: dict[str, str], expected: str | None) -> None:
    assert Settings.load(environ).redis_url == expected


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PORT", "hush"),
        ("PORT", "65536"),
        ("PORT", "-1"),
        ("PORT", "٣"),
        ("HOOKLINE_LEASE", "hush"),
        ("HOOKLINE_LEASE", "60"),
        ("HOOKLINE_LEASE", "1ms"),
        ("HOOKLINE_MAX_BODY", "hush"),
        ("HOOKLINE_QUEUES", " , "),
        ("HOOKLINE_CALLBACK_SCHEDULE", "5s,hush"),
        ("HOOKLINE_CALLBACK_ALLOW", "127.0.0.1/33"),
        ("HOOKLINE_CALLBACK_HOSTS", "https://hook.make.com"),
        ("HOOKLINE_CALLBACK_HOSTS", "*"),
        ("HOOKLINE_CALLBACK_PORTS", "443,https"),
        ("HOOKLINE_CALLBACK_PORTS", "0"),
        ("HOOKLINE_CALLBACK_RATE", "30"),
        ("HOOKLINE_CALLBACK_RATE", "30/0s"),
        ("HOOKLINE_CALLBACK_RATE", "-1/s"),
        ("HOOKLINE_API_KEYS", "hush"),
        ("HOOKLINE_API_KEYS", "name:hush:everything"),
        ("HOOKLINE_PUBLIC_URL", "hush"),
        ("HOOKLINE_LOG", "hush"),
        ("HOOKLINE_LOG_FORMAT", "hush"),
    ],
)
def test_a_wrong_value_is_one_line_that_names_the_variable_and_not_the_value(
    variable: str, value: str
) -> None:
    with pytest.raises(SettingsError, match=f"^{variable}: ") as error:
        Settings.load({variable: value})
    assert "hush" not in str(error.value)
    assert len(str(error.value).splitlines()) == 1


@given(st.sampled_from(VARIABLES), st.text())
def test_whatever_the_value_the_only_failure_is_the_documented_one(variable: str, value: str) -> None:
    with suppress(SettingsError):
        Settings.load({variable: value})


def test_secrets_are_not_in_the_repr() -> None:
    settings = Settings.load(
        {"HOOKLINE_API_KEYS": "ops:hush"}
        | {
            name: "https://hush.example"
            for name in SECRET_VARIABLES
            if "API" not in name and name not in ("HOOKLINE_CONSOLE_USERS", "HOOKLINE_SHARDS")
        }
        | {"HOOKLINE_SHARDS": "redis://:hush@one redis://:hush@two"}
    )
    assert "hush" not in repr(settings)
    assert settings.api_keys[0].key == "hush"


def test_an_api_key_has_the_scopes_it_names_or_all() -> None:
    all_of_them, reader = Settings.load({"HOOKLINE_API_KEYS": "ops:one, zap:two:read+submit"}).api_keys
    assert all_of_them.scopes == {"read", "submit", "operate"}
    assert (reader.name, reader.scopes) == ("zap", {"read", "submit"})


HASH = "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHRzb21l$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g"


def test_users_of_the_console_are_read_though_their_hashes_have_commas() -> None:
    users = Settings.load({"HOOKLINE_CONSOLE_USERS": f"ada:operator:{HASH},vera:viewer:{HASH}"}).console_users
    assert [(user.name, user.role, user.password) for user in users] == [
        ("ada", "operator", HASH),
        ("vera", "viewer", HASH),
    ]
    assert HASH not in repr(users)


@pytest.mark.parametrize(
    "users",
    [
        "ada",
        "ada:operator",
        "ada:operator:plain",
        f"ada:root:{HASH}",
        f"ada:viewer:{HASH},ada:viewer:{HASH}",
        f"a b:viewer:{HASH}",
    ],
)
def test_users_of_the_console_that_are_none_stop_the_start(users: str) -> None:
    with pytest.raises(SettingsError, match=r"^HOOKLINE_CONSOLE_USERS: needs ") as error:
        Settings.load({"HOOKLINE_CONSOLE_USERS": users})
    assert users not in str(error.value)


def test_a_short_password_of_the_console_stops_the_start() -> None:
    """A085, at the console."""
    with pytest.raises(SettingsError, match=r"^HOOKLINE_CONSOLE_PASSWORD: needs at least 12 characters$"):
        Settings.load({"HOOKLINE_CONSOLE_PASSWORD": "hunter2"})
